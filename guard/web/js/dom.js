// Small helpers for making and finding elements. Text always goes in as text, never as HTML.

export const byId = (id) => document.getElementById(id);

/** Makes an element; `props` sets properties, `data-*`, `aria-*`, `role` and `lang` become attributes. */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("data-") || name.startsWith("aria-") || name === "role" || name === "lang") {
      element.setAttribute(name, value);
    } else {
      element[name] = value;
    }
  }
  element.append(...children);
  return element;
}

const SCREENS = ["help", "join", "call", "operator", "over"];

/** Shows one screen and hides the others. */
export function show(screen) {
  for (const id of SCREENS) byId(id).hidden = id !== screen;
}
