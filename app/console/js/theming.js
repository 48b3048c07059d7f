// Light, dark, or as the system has it.
const NAME = "ai-agents.theme";

export function chosenTheme() {
  return localStorage.getItem(NAME) ?? "system";
}

export function chooseTheme(theme) {
  if (theme === "system") {
    localStorage.removeItem(NAME);
    delete document.documentElement.dataset.theme;
  } else {
    localStorage.setItem(NAME, theme);
    document.documentElement.dataset.theme = theme;
  }
}

window.addEventListener("storage", ({ key }) => key === NAME && chooseTheme(chosenTheme()));
