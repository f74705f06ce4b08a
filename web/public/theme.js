// Runs before the first paint, so that a chosen theme does not flash the other one first.
// No choice stored means: as the system says, which the style sheet does by itself.
try {
  const chosen = localStorage.getItem("stockade.theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage can be switched off; then the system's theme stays.
}
