// Provider, model, and the model's settings.
import { html, useState } from "../../vendor/preact.js";
import { api } from "../api.js";
import { useLoad } from "../ui/loading.js";
import { ChoiceField, LongField, NumberField, Section, SuggestField } from "./fields.js";

const REASONING = [
  { value: "", label: "Model's own" },
  { value: "none", label: "None" },
  { value: "low", label: "Low" },
  { value: "medium", label: "Medium" },
  { value: "high", label: "High" },
];
const ON_CUT = [
  { value: "", label: "Ask again (default)" },
  { value: "retry", label: "Ask again" },
  { value: "keep", label: "Keep what came" },
];
const APIS = [
  { value: "", label: "As the service chooses (default)" },
  { value: "responses", label: "Responses" },
  { value: "chat", label: "Chat Completions" },
];

/** The providers that there are, the default one first in the words of the empty choice. */
export function providerOptions(providers, current) {
  const chosen = providers.find((each) => each.default);
  const model = chosen?.default_model;
  const empty = chosen ? `The service's default: ${model && model !== chosen.name ? `${chosen.name}, ${model}` : chosen.name}` : "The service's default";
  const options = [{ value: "", label: empty }];
  for (const { name, configured } of providers) options.push({ value: name, label: configured ? name : `${name} (cannot be used now)` });
  if (current && !providers.some(({ name }) => name === current)) options.push({ value: current, label: `${current} (not known here)` });
  return options;
}

/** Why a provider cannot be used, or what it is, in a sentence. */
export function providerHelp(providers, name) {
  if (!name) return "Which service the model runs on. Admins add more.";
  const found = providers.find((each) => each.name === name);
  if (!found) return "There is no provider of this name that you may use. Saving keeps it; another choice is checked.";
  if (!found.configured) return `Cannot be used now: ${found.reason ?? "it is not configured."}`;
  return found.default_model ? `Without a model, it uses ${found.default_model}.` : "It has no default model: name one.";
}

/** The ids of the models that a provider lists, and a sentence where it cannot say. */
export function useModels(providers, name, optional) {
  const found = name || !optional ? providers.find((each) => each.name === name) : providers.find((each) => each.default);
  const { data, problem, loading } = useLoad(
    () => (found?.configured ? api.get(`/providers/${encodeURIComponent(found.name)}/models`) : Promise.resolve(null)),
    [found?.name, found?.configured],
  );
  const models = data?.data ?? [];
  let note = "Its name as the provider writes it.";
  if (problem) note = `The provider does not list its models now (${problem.detail}) Type a name.`;
  else if (loading) note = "Asking the provider for its models …";
  else if (models.length) note = `${models.length === 1 ? "One model is" : `${models.length.toLocaleString("en")} models are`} listed; any other name may be typed.`;
  return { models, note };
}

/** A provider and a model, in two fields beside one another, at these paths of the form. */
export function ModelChoice({ form, providers, providerPath, modelPath, optional }) {
  const name = form.get(providerPath);
  const { models, note } = useModels(providers, name, optional);
  const chosen = name || !optional ? providers.find((each) => each.name === name) : providers.find((each) => each.default);
  const options = providerOptions(providers, name);
  return html`
    <div class="field-pair">
      <${ChoiceField} form=${form} path=${providerPath} label="Provider" help=${providerHelp(providers, name)}
        options=${optional ? options : [{ value: "", label: "Choose one" }, ...options.slice(1)]} warn=${chosen && !chosen.configured} />
      <${SuggestField} form=${form} path=${modelPath} label="Model" help=${note} placeholder=${optional ? chosen?.default_model ?? "" : ""}
        suggestions=${models.map(({ id, name: words, context_window: window }) => ({ value: id, label: id, detail: detailOf(words, window) }))} />
    </div>`;
}

const detailOf = (name, window) => [name, window && `${window.toLocaleString("en")} tokens`].filter(Boolean).join(", ");

const ADVANCED = ["top_p", "stop", "on_cut", "api", "timeout_s", "tool_rounds"];

export function ModelSection({ form, providers }) {
  const [open] = useState(() => ADVANCED.some((name) => form.get(`settings.${name}`)));
  const provider = form.get("provider");
  const isOpenai = provider === "openai" || providers.find((each) => each.name === (provider || null))?.type === "openai";
  return html`
    <${Section} id="model" title="Model" help="Which model answers, and how. A setting that is left empty is the provider's own choice.">
      <${ModelChoice} form=${form} providers=${providers} providerPath="provider" modelPath="model" optional />
      <div class="field-trio">
        <${NumberField} form=${form} path="settings.temperature" label="Temperature" placeholder="Model's own" step="0.1" min="0" max="2"
          help="0 to 2. Low repeats itself and is exact, high is more varied." />
        <${NumberField} form=${form} path="settings.max_tokens" label="Longest answer" placeholder="Model's own" step="1" min="1"
          help="In tokens; a word has one or two." />
        <${ChoiceField} form=${form} path="settings.reasoning" label="Reasoning" options=${REASONING}
          help="How long a model that can reason thinks first." />
      </div>
      <details class="form-more" open=${open || ADVANCED.some((name) => form.hasError(`settings.${name}`))}>
        <summary>More settings of the model</summary>
        <div class="field-trio">
          <${NumberField} form=${form} path="settings.top_p" label="Top p" placeholder="Model's own" step="0.05" min="0" max="1"
            help="0 to 1. Only the likeliest words up to this share. Set this or the temperature." />
          <${NumberField} form=${form} path="settings.timeout_s" label="Patience" placeholder="60" step="1" min="1" max="600"
            help="Seconds without a byte from the model, until it is asked again." />
          <${NumberField} form=${form} path="settings.tool_rounds" label="Rounds of tools" placeholder="10" step="1" min="1" max="100"
            help="How often one answer may call tools and go on." />
        </div>
        <div class="field-pair">
          <${ChoiceField} form=${form} path="settings.on_cut" label="When an answer breaks off" options=${ON_CUT.filter(({ value }) => value !== "retry" || form.get("settings.on_cut") === "retry")}
            help="The connection ended in mid-answer: start over, or show what there is." />
          ${(isOpenai || form.get("settings.api")) && html`<${ChoiceField} form=${form} path="settings.api" label="API of OpenAI" options=${APIS}
            help="Only for providers of the type openai." />`}
        </div>
        <${LongField} form=${form} path="settings.stop" label="Stop at" rows="2" mono
          help="The answer ends before any of these texts. One a line, up to 16; \\n is a line break, \\\\ a backslash." />
      </details>
    <//>`;
}
