import { whenSessionEnds } from "../api/client";
import { createStore } from "./store";

/** True once nobody is signed in any more. Never goes back: signing in loads the page anew. */
export const sessionOver = createStore(false);

whenSessionEnds(() => sessionOver.set(true));
