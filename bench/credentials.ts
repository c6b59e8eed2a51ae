import { createHash, createHmac, randomBytes, randomUUID } from "node:crypto";
import Keygrip from "keygrip";

/** The forms in which a request says which session is its own. */
export type Credential =
  | "none"
  /** An access token, as this package signs it. */
  | "bearer"
  /** An access token, as @compas/store signs it. */
  | "compas"
  /** A signed token that carries the session itself. */
  | "claims"
  /** The session's id, in a bearer token's place. */
  | "opaque"
  /** koa-session's cookie with the id of a row of the old table. */
  | "store-cookie"
  /** koa-session's cookie with the data in it. */
  | "data-cookie"
  /** express-session's cookie. */
  | "express-cookie";

export interface Secrets {
  readonly cookieKey: string;
  readonly signingKey: string;
}

export const newSecrets = (): Secrets => ({
  cookieKey: randomBytes(32).toString("base64url"),
  signingKey: randomBytes(32).toString("base64url"),
});

export const cookieName = "bench";
export const keyId = "bench";
export const lifetimeInSeconds = 30 * 24 * 60 * 60;

/** The data of session number `n`; its owner is user number `n`. */
export const dataOf = (n: number) => ({
  userId: n,
  name: "Ada",
  roles: ["admin", "editor"],
  count: 0,
});

/** The id of row number `n`; world.ts has the same in SQL. */
export function idOf(kind: string, n: number): string {
  const hex = createHash("md5").update(`${kind}${n}`).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/** The request header of session number `n`, such as `Authorization: Bearer …`. */
export function headerOf(secrets: Secrets, credential: Credential, n: number): string {
  const { cookieKey, signingKey } = secrets;
  const token = (typ: string, claims: object) =>
    `Authorization: Bearer ${jwt(signingKey, typ, claims)}`;
  switch (credential) {
    case "none":
      return "Accept: */*";
    case "bearer":
      return token("at+jwt", { sid: idOf("session", n), jti: idOf("access", n) });
    case "compas":
      return token("JWT", { compasSessionAccessToken: idOf("access", n) });
    case "claims":
      return token("at+jwt", dataOf(n));
    case "opaque":
      return `Authorization: Bearer ${idOf("session", n)}`;
    case "store-cookie":
      return koaCookie(cookieKey, idOf("cookie", n));
    case "data-cookie":
      return koaCookie(cookieKey, Buffer.from(JSON.stringify(cookieData(n))).toString("base64"));
    case "express-cookie": {
      const mac = createHmac("sha256", cookieKey).update(`sid${n}`).digest("base64");
      return `Cookie: ${cookieName}=s%3Asid${n}.${encodeURIComponent(mac.replace(/=+$/, ""))}`;
    }
  }
}

/** Headers that must open nothing, made from those of two sessions. */
export function tamperedHeaders(credential: Credential, header: string, other: string): string[] {
  switch (credential) {
    case "none":
      return [];
    case "opaque":
      return [`Authorization: Bearer ${randomUUID()}`];
    case "bearer":
    case "compas":
    case "claims": {
      const [head, payload, signature] = header.split(".") as [string, string, string];
      const none = Buffer.from('{"alg":"none"}').toString("base64url");
      return [
        `${head}.${payload}.${alter(signature)}`,
        `${head}.${other.split(".")[1]}.${signature}`,
        `Authorization: Bearer ${none}.${payload}.`,
      ];
    }
    case "store-cookie":
    case "data-cookie": {
      const [value, signature] = header.split(".sig=") as [string, string];
      return [`${value}.sig=${alter(signature)}`, `${other.split(".sig=")[0]}.sig=${signature}`];
    }
    case "express-cookie": {
      const [value, mac] = header.split(".") as [string, string];
      return [`${value}.${alter(mac)}`, `${other.split(".")[0]}.${mac}`];
    }
  }
}

// Of its last character not every bit counts.
const alter = (signature: string) => (signature.startsWith("A") ? "B" : "A") + signature.slice(1);

function jwt(key: string, typ: string, claims: object): string {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const iat = Math.floor(Date.now() / 1000);
  const times = { iat, exp: iat + lifetimeInSeconds };
  const signed = `${encode({ alg: "HS256", kid: keyId, typ })}.${encode({ ...claims, ...times })}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

function koaCookie(key: string, value: string): string {
  const signature = new Keygrip([key]).sign(`${cookieName}=${value}`);
  return `Cookie: ${cookieName}=${value}; ${cookieName}.sig=${signature}`;
}

function cookieData(n: number) {
  const maxAge = lifetimeInSeconds * 1000;
  return { ...dataOf(n), _expire: Date.now() + maxAge, _maxAge: maxAge };
}
