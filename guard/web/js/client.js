// What this page is made of, by its own account. A page that lies can say anything: guard writes it down
// beside what it knows itself, and never decides by it alone.

/** The scripts and styles the browser has loaded for this page, as paths on the server. */
function loaded() {
  const paths = performance.getEntriesByType("resource")
    .map(({ name }) => new URL(name))
    .filter(({ origin, pathname }) => origin === location.origin && /^\/web\/.*\.(js|css)$/.test(pathname))
    .map(({ pathname }) => pathname);
  return [...new Set(paths)].sort();
}

async function digest(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await response.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Returns the message `client`: version and SHA-256 of every module and style as this page gets them. */
export async function describeClient() {
  const version = document.querySelector('meta[name="guard-version"]')?.content ?? "";
  const paths = loaded();
  const digests = await Promise.all(paths.map(digest));
  return { type: "client", version, files: Object.fromEntries(paths.map((path, at) => [path, digests[at]])) };
}
