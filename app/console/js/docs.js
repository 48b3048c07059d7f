// The operations of the API in Swagger UI, which is vendored: docs/decisions tells why. Requests go to this service alone.
import { findCredential, onCredentialOfOtherTabs } from "./credential.js";
import { labelControls, plainNames } from "./docs_access.js";
import { streaming } from "./docs_streaming.js";

// The scheme of openapi.yaml that takes keys, tokens and JWTs.
const SCHEME = "bearer";
// A key that is entered here is kept for this tab alone. Signing out in the page forgets it, too.
const NAME = "ai-agents.docs.credential";

const dark = matchMedia("(prefers-color-scheme: dark)");

function showTheme() {
  const chosen = document.documentElement.dataset.theme;
  document.documentElement.classList.toggle("dark-mode", chosen ? chosen === "dark" : dark.matches);
}

/** Keeps the key that is entered, until it is taken back. */
function remembering() {
  return {
    statePlugins: {
      auth: {
        wrapActions: {
          authorize: (authorize) => (given) => {
            if (given[SCHEME]) sessionStorage.setItem(NAME, given[SCHEME].value);
            return authorize(given);
          },
          logout: (logout) => (names) => {
            if (names.includes(SCHEME)) sessionStorage.removeItem(NAME);
            return logout(names);
          },
        },
      },
    },
  };
}

/** The document without tickets, which open streams where no header can be set: here one can. */
async function readDocument() {
  const document = await (await fetch("/openapi.json")).json();
  document.components.securitySchemes = { [SCHEME]: document.components.securitySchemes[SCHEME] };
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path)) {
      if (operation.security) operation.security = operation.security.filter((each) => SCHEME in each);
    }
  }
  return document;
}

async function show() {
  const own = sessionStorage.getItem(NAME);
  const credential = own ?? (await findCredential())?.value;
  const ui = window.SwaggerUIBundle({
    spec: await readDocument(),
    domNode: place,
    deepLinking: true,
    displayRequestDuration: true,
    docExpansion: "list",
    filter: true,
    tryItOutEnabled: true,
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    syntaxHighlight: { theme: "nord" },
    // Nothing is asked of another host.
    validatorUrl: null,
    queryConfigEnabled: false,
    persistAuthorization: false,
    plugins: [plainNames, streaming, remembering],
    onComplete: () => {
      if (!credential) return;
      ui.preauthorizeApiKey(SCHEME, credential);
      // What the page is signed in with stays the page's.
      if (!own) sessionStorage.removeItem(NAME);
    },
  });
  onCredentialOfOtherTabs((other) => {
    if (other === null) ui.authActions.logout([SCHEME]);
  });
}

const place = document.getElementById("operations");
labelControls(place);
showTheme();
dark.addEventListener("change", showTheme);
window.addEventListener("storage", showTheme);
show().catch((error) => {
  place.firstElementChild.textContent = `The document cannot be read: ${error.message}`;
});
