// What the browser does with passkeys; the gateway says what it is asked for, and checks what comes of it.

export const canPasskeys = () => Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON && navigator.credentials);

const options = (json, parse) => ({ publicKey: PublicKeyCredential[parse](json) });

/** The person said no, or has none: nothing that has to be told. */
const isDeclined = (error) => error instanceof DOMException && (error.name === "NotAllowedError" || error.name === "AbortError");

/** Makes one; gives what `POST /api/passkeys` takes beside its name. */
export async function makePasskey(asked) {
  const made = await navigator.credentials.create(options(asked, "parseCreationOptionsFromJSON"));
  return { credential: made.toJSON(), transports: made.response.getTransports?.() ?? [] };
}

/** Has one shown; gives the body of `POST /api/sign-in/passkey` and `POST /api/confirm/passkey`. */
async function showPasskey(asked) {
  const shown = await navigator.credentials.get(options(asked, "parseRequestOptionsFromJSON"));
  return { credential: shown.toJSON() };
}

/** Asks at `path` and answers there, without the password. Gives the problem's words, or nothing when it went well. */
export async function byPasskey(path, done) {
  const post = (to, body) => fetch(to, { method: "POST", headers: { "content-type": "application/json" }, body: body && JSON.stringify(body) });
  try {
    const asked = await post(`${path}/options`);
    if (!asked.ok) return "The gateway does not answer. Try again.";
    const answer = await post(path, await showPasskey((await asked.json()).options));
    const told = await answer.json();
    if (!answer.ok) return answer.status === 429 ? `Too many attempts. Try again in ${Math.ceil(told.retry_after / 60)} minutes.` : `${told.detail}.`;
    done(told);
  } catch (error) {
    return isDeclined(error) ? "No passkey was shown." : "The gateway does not answer. Try again.";
  }
  return "";
}
