// Controls with their label, help and error in one.

import { html } from "../../vendor/preact.js";
import { Field, Select, TextArea, TextInput } from "../ui/fields.js";

const labelled = (Control) => ({ label, help, error, optional, ...rest }) =>
  html`<${Field} label=${label} help=${help} error=${error} optional=${optional}><${Control} ...${rest} /><//>`;

export const TextField = labelled(TextInput);
export const AreaField = labelled(TextArea);
export const SelectField = labelled(Select);
