// The room token: taken out of the address at once, kept for this tab only.

const KEPT = "guard.token";

/** Returns {token, session, participant, role}, or null where there is no readable token. */
export function takeAccess() {
  const address = new URL(location.href);
  const given = address.searchParams.get("token");
  if (given) {
    sessionStorage.setItem(KEPT, given);
    address.searchParams.delete("token");
    history.replaceState(null, "", address);
  }
  const token = given ?? sessionStorage.getItem(KEPT);
  const claims = token && read(token);
  return claims ? { token, ...claims } : null;
}

// Only for display: the server checks the signature.
function read(token) {
  try {
    const body = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    const { session, participant, role } = JSON.parse(atob(body));
    return session && participant && role ? { session, participant, role } : null;
  } catch {
    return null;
  }
}

/** Calls the HTTP interface; throws an Error with the server's own explanation. */
export async function callApi(access, method, path, body) {
  const headers = { Authorization: `Bearer ${access.token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail ?? String(response.status));
  return answer;
}
