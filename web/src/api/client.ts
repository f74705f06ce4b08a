import createClient from "openapi-fetch";
import type { paths } from "./schema";
import type { Problem } from "./types";

/** A refusal by the server, or no answer at all (`status` 0). */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ProblemError";
    this.problem = problem;
  }

  /** Whether the server may or may not have acted: nothing came back, or not from the desk itself. */
  get outcomeUnknown(): boolean {
    return this.problem.status === 0 || (this.problem.status >= 500 && this.problem.code === "");
  }
}

let cookie: Promise<unknown> = Promise.resolve();

/** Asks for something that is answered with another cookie of the session, such as stepping up. */
export function replacingCookie<T>(asked: Promise<T>): Promise<T> {
  cookie = asked.catch(() => undefined);
  return asked;
}

/**
 * Sends a request, and once more when it may have met its session under another cookie on the way.
 *
 * The old cookie is dead the moment the new one is made, so a request that was under way is refused: unread, so asking
 * again does nothing twice. Also when another tab did it.
 */
async function send(request: Request): Promise<Response> {
  const again = request.clone();
  // Looked up on each call, so that nothing is bound to the window before it is needed.
  const response = await globalThis.fetch(request);
  if (response.status !== 401) return response;
  await cookie;
  return globalThis.fetch(again);
}

let sessionEnded = () => {};

/** Calls back whenever the server says that nobody is signed in any more. */
export function whenSessionEnds(act: () => void): void {
  sessionEnded = act;
}

/** Every request of the page goes through here. */
export const api = createClient<paths>({
  baseUrl: globalThis.location?.origin ?? "",
  credentials: "same-origin",
  fetch: send,
});

api.use({
  onResponse({ response }) {
    if (response.status === 401) sessionEnded();
  },
});

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an answer, or a {@link ProblemError}. */
export async function answer<T>(asked: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>;
  try {
    got = await asked;
  } catch (cause) {
    throw new ProblemError({
      type: "about:blank",
      title: "The desk did not answer",
      status: 0,
      detail: cause instanceof Error ? cause.message : String(cause),
      code: "",
      request_id: "",
    });
  }
  if (got.response.ok) return got.data as T;
  throw new ProblemError(asProblem(got.error, got.response.status));
}

/** What went wrong, whatever was thrown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  return asProblem(null, 0, error instanceof Error ? error.message : String(error));
}

/** Signs out and leaves the page; also when the session was gone already. */
export async function signOut(): Promise<void> {
  await api.DELETE("/api/v1/session").catch(() => undefined);
  location.assign("/sign-in");
}

/** Where to sign in and come back from. */
export function signInUrl(): string {
  return `/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`;
}

/** A key under which a write is done once, however often it is asked for. */
export function idempotencyKey(): string {
  return crypto.randomUUID();
}

function asProblem(body: unknown, status: number, detail = ""): Problem {
  // A proxy in between answers with HTML; only the desk itself sends a code.
  const given = typeof body === "object" && body !== null ? (body as Partial<Problem>) : {};
  return {
    type: "about:blank",
    title: status === 0 ? "Something went wrong" : `The desk answered ${status}`,
    status,
    detail,
    code: "",
    request_id: "",
    ...given,
  };
}
