import { cloneElement, html, toChildArray, useId, useLayoutEffect, useRef } from "../../vendor/preact.js";
import { Icon } from "./icon.js";

/**
 * A control with its label, a sentence of help, and its error. Its one child is the control, which gets the ids.
 * `error` is a text; `errorOf(problem, "name")` takes it out of a problem. `optional` says so after the label.
 */
export function Field({ label, help, error, optional = false, children, class: more = "" }) {
  const id = useId();
  const described = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const [control, ...others] = toChildArray(children);
  const given = { id: control.props.id ?? id, "aria-describedby": described, "aria-invalid": error ? "true" : undefined };
  return html`<div class=${`field ${more}`}>
    <label class="field-label" for=${given.id}>${label}${optional && html` <span class="field-optional">(optional)</span>`}</label>
    ${help && html`<p class="field-help" id=${`${id}-help`}>${help}</p>`}
    ${cloneElement(control, given)}${others}
    ${error && html`<p class="field-error" id=${`${id}-error`}><${Icon} name="circle-alert" size="small" /><span>${error}</span></p>`}
  </div>`;
}

/** The messages of a problem for one field: `errorOf(problem, "name")` or `errorOf(problem, "memory", "n")`. */
export function errorOf(problem, ...path) {
  const wanted = path.map(String);
  const found = (problem?.errors ?? []).filter(({ loc = [] }) => {
    const at = loc.map(String);
    // The service names where the value was: body, query or path.
    const inside = ["body", "query", "path"].includes(at[0]) ? at.slice(1) : at;
    return wanted.every((part, index) => inside[index] === part);
  });
  return found.map(({ msg }) => msg).join(" ");
}

/** Field errors of a problem that no field of the form shows; `shown` are the first names of those that are shown. */
export function otherErrors(problem, shown) {
  return (problem?.errors ?? []).filter(({ loc = [] }) => {
    const inside = ["body", "query", "path"].includes(loc[0]) ? loc.slice(1) : loc;
    return !shown.includes(String(inside[0]));
  });
}

/** A ref for a control that is to have the focus as soon as it is drawn: browsers do so for the page's first one only. */
function useFocus(wanted) {
  const control = useRef(null);
  useLayoutEffect(() => {
    if (wanted) control.current.focus();
  }, []);
  return control;
}

/** A line of text. `onInput(value)`. */
export function TextInput({ value, onInput, class: more = "", type = "text", mono = false, ...rest }) {
  const control = useFocus(rest.autofocus);
  return html`<input ref=${control} class=${`input ${mono ? "input-mono" : ""} ${more}`} type=${type} value=${value ?? ""} dir=${mono ? "ltr" : "auto"}
    onInput=${(event) => onInput?.(event.currentTarget.value, event)} ...${rest} />`;
}

/** Lines of text. `onInput(value)`. */
export function TextArea({ value, onInput, class: more = "", mono = false, rows = 5, ...rest }) {
  const control = useFocus(rest.autofocus);
  return html`<textarea ref=${control} class=${`input ${mono ? "input-mono" : ""} ${more}`} rows=${rows} value=${value ?? ""} dir=${mono ? "ltr" : "auto"}
    onInput=${(event) => onInput?.(event.currentTarget.value, event)} ...${rest}></textarea>`;
}

/** One of a few. `options`: `{value, label, disabled}` or texts. `onChange(value)`. */
export function Select({ value, options, onChange, class: more = "", ...rest }) {
  const all = options.map((option) => (typeof option === "string" ? { value: option, label: option } : option));
  return html`<select class=${`input ${more}`} value=${value ?? ""} onChange=${(event) => onChange?.(event.currentTarget.value)} ...${rest}>
    ${all.map((option) => html`<option key=${option.value} value=${option.value} disabled=${option.disabled} selected=${option.value === value}>${option.label}</option>`)}
  </select>`;
}

function choice(type, control, { checked, onChange, label, help, disabled, name, value, ...rest }) {
  const id = useId();
  return html`<label class="choice" for=${id}>
    <input id=${id} class=${`choice-control ${control}`} type=${type} role=${control === "switch" ? "switch" : undefined} checked=${checked}
      disabled=${disabled} name=${name} value=${value} aria-describedby=${help ? `${id}-help` : undefined}
      onChange=${(event) => onChange?.(event.currentTarget.checked, event)} ...${rest} />
    <span><span>${label}</span>${help && html`<span class="field-help" id=${`${id}-help`}><br />${help}</span>`}</span>
  </label>`;
}

/** `onChange(checked)`. */
export function Checkbox(props) {
  return choice("checkbox", "", props);
}

/** A setting that acts at once. `onChange(checked)`. */
export function Switch(props) {
  return choice("checkbox", "switch", props);
}

/** One of a few, each with its help. `options`: `{value, label, help}`. `onChange(value)`. */
export function RadioGroup({ label, value, options, onChange, name }) {
  const own = useId();
  return html`<fieldset class="stack stack-tight">
    <legend class="field-label">${label}</legend>
    ${options.map((option) => html`<${Radio} key=${option.value} name=${name ?? own} value=${option.value} label=${option.label} help=${option.help}
      checked=${option.value === value} onChange=${() => onChange(option.value)} />`)}
  </fieldset>`;
}

function Radio(props) {
  return choice("radio", "", props);
}
