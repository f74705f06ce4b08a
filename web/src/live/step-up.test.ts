// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { answer, api, problemOf } from "../api/client";
import { stepUp, withStepUp } from "./step-up";

/** The desk: which factor is recent enough, and what it was asked. */
let desk: { recent: boolean; code: string; asked: string[] };

function refusal(status: number, code: string): Response {
  return Response.json({ type: "", title: code, status, detail: code, code }, { status });
}

beforeEach(() => {
  desk = { recent: false, code: "123456", asked: [] };
  vi.stubGlobal("fetch", async (request: Request) => {
    const path = new URL(request.url).pathname;
    desk.asked.push(path);
    if (path.endsWith("/step-up")) {
      desk.recent = (await request.json()).code === desk.code;
      return desk.recent ? Response.json({}) : refusal(422, "code_refused");
    }
    return desk.recent ? Response.json({ recovery_codes: ["A"] }) : refusal(403, "step_up_needed");
  });
});
afterEach(() => {
  stepUp.get()?.leave();
  vi.unstubAllGlobals();
});

const renew = () => answer(api.POST("/api/v1/factors/recovery-codes"));
const RENEW = "/api/v1/factors/recovery-codes";
const SHOW = "/api/v1/session/step-up";

/** Waits until the question is open. */
const question = () => vi.waitUntil(() => stepUp.get());

describe("an act that needs a recent factor", () => {
  it("is done at once when there is one", async () => {
    desk.recent = true;
    expect(await withStepUp(renew)).toEqual({ recovery_codes: ["A"] });
    expect(desk.asked).toEqual([RENEW]);
    expect(stepUp.get()).toBeNull();
  });

  it("asks for a code and is repeated once", async () => {
    const done = withStepUp(renew);
    await (await question())?.show("123456");
    expect(await done).toEqual({ recovery_codes: ["A"] });
    expect(desk.asked).toEqual([RENEW, SHOW, RENEW]);
    expect(stepUp.get()).toBeNull();
  });

  it("goes on asking after a wrong code", async () => {
    const done = withStepUp(renew);
    const open = await question();
    await expect(open?.show("000000")).rejects.toMatchObject({ problem: { code: "code_refused" } });
    expect(stepUp.get()).toBe(open);
    await open?.show("123456");
    await done;
    expect(desk.asked).toEqual([RENEW, SHOW, SHOW, RENEW]);
  });

  it("stays refused when the question is left", async () => {
    const done = withStepUp(renew);
    (await question())?.leave();
    await expect(done).rejects.toMatchObject({ problem: { code: "step_up_needed" } });
    expect(desk.asked).toEqual([RENEW]);
    expect(stepUp.get()).toBeNull();
  });

  it("is not repeated a second time", async () => {
    const act = vi.fn(async () => {
      desk.recent = false;
      return renew();
    });
    const done = withStepUp(act);
    await (await question())?.show("123456");
    await expect(done).rejects.toMatchObject({ problem: { code: "step_up_needed" } });
    expect(act).toHaveBeenCalledTimes(2);
    expect(stepUp.get()).toBeNull();
  });

  it("shares one question with another that waits", async () => {
    const both = [withStepUp(renew), withStepUp(renew)];
    await vi.waitUntil(() => desk.asked.length === 2);
    await (await question())?.show("123456");
    expect(await Promise.all(both)).toHaveLength(2);
    expect(desk.asked.filter((path) => path === SHOW)).toHaveLength(1);
  });

  it("asks nothing when it is refused for another reason", async () => {
    const refused = () => Promise.reject(new Error("no"));
    await expect(withStepUp(refused)).rejects.toThrow("no");
    expect(stepUp.get()).toBeNull();
  });
});

describe("a request that was under way while the cookie was replaced", () => {
  it("is sent again under the new one, and the session is not over", async () => {
    let calls = 0;
    vi.stubGlobal("fetch", async () => {
      calls += 1;
      return calls === 1 ? refusal(401, "not_signed_in") : Response.json({ totp_since: null });
    });
    expect(await answer(api.GET("/api/v1/factors"))).toEqual({ totp_since: null });
    expect(calls).toBe(2);
  });

  it("is refused in earnest when the session has ended", async () => {
    vi.stubGlobal("fetch", async () => refusal(401, "not_signed_in"));
    const refused = await answer(api.GET("/api/v1/factors")).catch(problemOf);
    expect(refused).toMatchObject({ status: 401, code: "not_signed_in" });
  });
});
