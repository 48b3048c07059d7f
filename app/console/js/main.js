// Starts the page: the sign-in, or the page of who is signed in.
import { html, render } from "../vendor/preact.js";
import { toProblem } from "./api.js";
import { sessionStore, startSession } from "./session.js";
import { Shell } from "./shell.js";
import { useStore } from "./signals.js";
import { withStyles } from "./styles.js";
import { Lazy } from "./ui/lazy.js";
import { Notice, Spinner } from "./ui/states.js";
// The chat is what most visits are for, so it comes with the page.
import "./chat/thread_view.js";

const loadSignIn = withStyles("sign_in", () => import("./sign_in/sign_in_view.js"));

function Page() {
  const { state, problem } = useStore(sessionStore);
  if (state === "in") return html`<${Shell} />`;
  if (state === "out") return html`<${Lazy} load=${loadSignIn} problem=${problem} />`;
  if (state === "away") return html`<main class="sign-in"><${Notice} kind="warning" problem=${problem} /><${Spinner} label="Trying again" /></main>`;
  return html`<${Spinner} />`;
}

async function start() {
  let problem = null;
  if (location.hash.startsWith("#token=")) {
    const { signInByLink } = await import("./sign_in/link.js");
    problem = await signInByLink().then(() => null, toProblem);
  }
  if (document.querySelector('meta[name="ai-agents-oidc"]')) {
    const oidc = await import("./sign_in/oidc.js");
    oidc.keepRenewed();
    if (oidc.isAnswer()) problem = await oidc.finishSignIn().then(() => null, toProblem);
  }
  if (sessionStore.get().state !== "in") await startSession(problem);
  const place = document.getElementById("page");
  place.replaceChildren();
  render(html`<${Page} />`, place);
}

start();
