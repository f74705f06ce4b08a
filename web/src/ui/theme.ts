import { useSyncExternalStore } from "react";

/** What the person chose; `system` follows the machine. */
export type ThemeChoice = "system" | "dark" | "light";

const KEY = "stockade.theme";
const system = () => globalThis.matchMedia?.("(prefers-color-scheme: dark)");

/** The choice in force, as `theme.js` put it on the page before the first paint. */
export function themeChoice(): ThemeChoice {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "dark" || chosen === "light" ? chosen : "system";
}

/** Changes the theme now and for the next visit. */
export function chooseTheme(choice: ThemeChoice): void {
  if (choice === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Storage can be switched off; the choice then lasts as long as the page.
  }
}

/** Calls back when the colours change, by choice or by the system. */
export function onThemeChange(act: () => void): () => void {
  const observer = new MutationObserver(act);
  observer.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  const media = system();
  media?.addEventListener("change", act);
  return () => {
    observer.disconnect();
    media?.removeEventListener("change", act);
  };
}

/** The theme on the page now. */
export function useTheme(): "dark" | "light" {
  return useSyncExternalStore(onThemeChange, () => {
    const choice = themeChoice();
    return choice === "system" ? (system()?.matches ? "dark" : "light") : choice;
  });
}

/** The colour behind a custom property, as a canvas needs it: it cannot read `light-dark()`. */
export function colour(property: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${property})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
