import { createHmac } from "node:crypto";

/** A cookie with the signature that Keygrip puts beside it. */
export function keygripCookies(
  name: string,
  value: string,
  key: string,
  algorithm = "sha1",
): Record<string, string> {
  const signature = createHmac(algorithm, key).update(`${name}=${value}`).digest("base64url");
  return { [name]: value, [`${name}.sig`]: signature };
}

/** The cookie of express-session: an id and its signature in one value. */
export function expressCookies(name: string, id: string, key: string): Record<string, string> {
  const signature = createHmac("sha256", key).update(id).digest("base64").replace(/=+$/, "");
  return { [name]: encodeURIComponent(`s:${id}.${signature}`) };
}
