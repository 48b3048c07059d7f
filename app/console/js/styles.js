// Styles of views that are loaded when they are opened.

const asked = new Map();

/** Load `css/<name>.css` once; done when it is in use, or cannot be had. */
function load(name) {
  if (!asked.has(name)) {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = new URL(`../css/${name}.css`, import.meta.url).href;
    asked.set(
      name,
      new Promise((resolve) => {
        link.onload = resolve;
        // A view without its styles is better than none. It is asked for again when a view is opened the next time.
        link.onerror = () => {
          asked.delete(name);
          link.remove();
          resolve();
        };
      }),
    );
    document.head.append(link);
  }
  return asked.get(name);
}

/** A `load` whose module comes with these styles. They stand before those of `loadModule`, which may say more. */
export const withSheet = (name, loadModule) => async () => (await Promise.all([load(name), loadModule()]))[1];

/** A route's `load`: the module comes with these styles, and with those of controls. */
export const withStyles = (name, loadModule) => withSheet("controls", withSheet(name, loadModule));

/** The same for views that are made of sections. */
export const withSections = (name, loadModule) => withStyles("sections", withSheet(name, loadModule));
