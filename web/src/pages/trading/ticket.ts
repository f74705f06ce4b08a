import { type ProblemError, problemOf } from "../../api/client";
import type { Order, OrderPreview, OrderRequest, Problem } from "../../api/types";
import { createStore, type Store } from "../../live/store";

/** Where the order ticket stands. One value, so that no two flags can contradict each other. */
export type Ticket =
  | { step: "editing" }
  | { step: "previewing" }
  | { step: "previewed"; request: OrderRequest; preview: OrderPreview }
  | { step: "sending"; request: OrderRequest; preview: OrderPreview }
  /** Sent, and no answer came: the desk may have it. Sending again is the same order. */
  | { step: "unanswered"; request: OrderRequest; preview: OrderPreview; problem: Problem }
  | { step: "sent"; order: Order }
  /** Above a limit: the desk keeps it until a second person agrees. */
  | { step: "waiting"; problem: Problem }
  | { step: "refused"; problem: Problem };

/** The two calls of a ticket. */
export interface OrderDoor {
  preview(request: OrderRequest): Promise<OrderPreview>;
  /** Places what was previewed. Asked for twice, it is the first order again. */
  submit(previewId: string): Promise<Order>;
}

/**
 * The life of one order ticket, outside React: what has begun is known at once and not at the next
 * rendering, so that the second of two quick Enters finds the first under way.
 */
export class TicketDesk {
  readonly ticket: Store<Ticket> = createStore<Ticket>({ step: "editing" });
  readonly #door: OrderDoor;

  constructor(door: OrderDoor) {
    this.#door = door;
  }

  /** Asks what the order would do. Nothing is decided by it. */
  async preview(request: OrderRequest): Promise<void> {
    if (this.#busy()) return;
    const mine: Ticket = { step: "previewing" };
    this.ticket.set(mine);
    try {
      const preview = await this.#door.preview(request);
      if (this.ticket.get() === mine) this.ticket.set({ step: "previewed", request, preview });
    } catch (error) {
      if (this.ticket.get() === mine)
        this.ticket.set({ step: "refused", problem: problemOf(error) });
    }
  }

  /** Sends what was previewed, once. */
  async send(): Promise<void> {
    const ticket = this.ticket.get();
    if (ticket.step !== "previewed" && ticket.step !== "unanswered") return;
    const { request, preview } = ticket;
    if (!preview.ok) return;
    this.ticket.set({ step: "sending", request, preview });
    try {
      const order = await this.#door.submit(preview.preview_id);
      this.ticket.set({ step: "sent", order });
    } catch (error) {
      const problem = problemOf(error);
      const unknown = (error as Partial<ProblemError>).outcomeUnknown === true;
      if (unknown) this.ticket.set({ step: "unanswered", request, preview, problem });
      else if (problem.code === "approval_needed") this.ticket.set({ step: "waiting", problem });
      else this.ticket.set({ step: "refused", problem });
    }
  }

  /** Back to the form; an order under way stays under way. */
  edit(): void {
    if (this.ticket.get().step !== "sending") this.ticket.set({ step: "editing" });
  }

  #busy(): boolean {
    const { step } = this.ticket.get();
    return step === "previewing" || step === "sending";
  }
}
