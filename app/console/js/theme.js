// Runs before the page is drawn, so that a chosen theme does not flash. "system" is the absence of a choice.
(() => {
  const chosen = localStorage.getItem("ai-agents.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
