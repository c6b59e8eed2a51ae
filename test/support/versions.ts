import Koa3 from "koa";
import Koa2 from "koa-2";
import session7 from "koa-session";
import session5 from "koa-session-5";
import session6 from "koa-session-6";

export type KoaVersion = "2" | "3";
export type KoaSessionVersion = "5" | "6" | "7";
/** The middleware factory; the types of koa-session 7 fit the older versions as well. */
export type KoaSession = typeof session7;

const koas: Record<KoaVersion, typeof Koa3> = { "2": Koa2, "3": Koa3 };
const koaSessions: Record<KoaSessionVersion, KoaSession> = {
  "5": session5,
  "6": session6,
  "7": session7,
};

/** Koa itself, of one major version. */
export function koaOf(version: KoaVersion): typeof Koa3 {
  return koas[version];
}

/** koa-session itself, of one major version. */
export function koaSessionOf(version: KoaSessionVersion): KoaSession {
  return koaSessions[version];
}

/** Of this run: `KOA`, `KOA_SESSION` in the environment, which also reaches the workers of a cluster. */
export const koaVersion = versionOf(koas, "KOA", "3");
export const koaSessionVersion = versionOf(koaSessions, "KOA_SESSION", "7");

export const Koa = koaOf(koaVersion);
export const session = koaSessionOf(koaSessionVersion);

function versionOf<V extends string>(
  versions: Record<V, unknown>,
  name: string,
  preset: NoInfer<V>,
): V {
  const wanted = process.env[name] ?? preset;
  if (!Object.hasOwn(versions, wanted)) {
    throw new Error(`${name} is "${wanted}", not one of ${Object.keys(versions).join(", ")}`);
  }
  return wanted as V;
}
