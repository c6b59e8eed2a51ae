import type { Context } from "koa";
import type { LegacySource } from "./legacy/source.js";
import { type GivenMode, type ModeOption, modeVariable, readMode } from "./mode.js";
import { describe, OptionsReader } from "./options.js";
import {
  type ParsedSharedOptions,
  readSharedOptions,
  type SharedOptions,
  sharedOptionNames,
} from "./common-options.js";
import {
  type ParsedTokenOptions,
  readTokenOptions,
  type TokenOptions,
  tokenOptionNames,
} from "./tokens/options.js";

/** When cookies end, for the `Deprecation`, `Sunset` and `Link` headers of answers to cookies. */
export interface Deprecation {
  /** Since when, or from when on, cookies are deprecated (RFC 9745). */
  at: Date;
  /** When cookies stop working (RFC 8594). */
  sunset?: Date;
  /** A page about it. */
  link?: string;
}

export interface SessionBridgeOptions extends SharedOptions {
  /** The old session system, or several, in order of precedence. */
  legacy: LegacySource | readonly LegacySource[];
  tokens: TokenOptions;
  /**
   * Default: the environment variable `SESSION_BRIDGE_MODE`, else the flag in PostgreSQL, which the command
   * line sets for the whole fleet, else `"bridge"`.
   */
  mode?: ModeOption;
  /** How long after adoption the cookie still opens the session. Default 86400 (a day). */
  cookieLingerInSeconds?: number;
  /** A further condition on offering tokens to a client that comes with a cookie. */
  offer?: (ctx: Context) => boolean;
  /** Keep the old store up to date, for a rollback. Default true; it ends by itself in mode `tokens`. */
  writeThrough?: boolean;
  /** Upgrade sessions of unsigned cookies that carry data, which anybody can make up. Default false. */
  allowUnsigned?: boolean;
  /**
   * Who still comes with a cookie (a client version, say): goes into the counts of legacy cookies. Of each
   * label 100 values are kept; any further one is counted as `other`.
   */
  labels?: (ctx: Context) => Record<string, string>;
  deprecation?: Deprecation;
}

export interface ParsedBridgeOptions {
  readonly shared: ParsedSharedOptions;
  readonly tokens: ParsedTokenOptions;
  readonly sources: readonly LegacySource[];
  readonly mode: GivenMode;
  readonly cookieLingerInSeconds: number;
  readonly writeThrough: boolean;
  readonly allowUnsigned: boolean;
  readonly offer: (ctx: Context) => boolean;
  readonly labels: (ctx: Context) => Record<string, string>;
  readonly deprecation: Readonly<Record<string, string>>;
}

const names = [
  "legacy",
  ...sharedOptionNames,
  "tokens",
  "mode",
  "cookieLingerInSeconds",
  "writeThrough",
  "allowUnsigned",
  "offer",
  "labels",
  "deprecation",
];

/** @throws TypeError that lists every invalid option */
export function readBridgeOptions(options: SessionBridgeOptions): ParsedBridgeOptions {
  const reader = new OptionsReader("sessionBridge");
  const raw = reader.object("options", options, names);
  const parsed = {
    shared: readSharedOptions(reader, raw, 2),
    tokens: readTokenOptions(
      reader,
      "tokens.",
      reader.object("tokens", raw["tokens"], tokenOptionNames),
    ),
    sources: readSources(reader, raw["legacy"]),
    mode: readMode(reader, raw["mode"], process.env[modeVariable]),
    cookieLingerInSeconds: reader.seconds(
      "cookieLingerInSeconds",
      raw["cookieLingerInSeconds"],
      86_400,
    ),
    writeThrough: reader.boolean("writeThrough", raw["writeThrough"], true),
    allowUnsigned: reader.boolean("allowUnsigned", raw["allowUnsigned"], false),
    offer: reader.function("offer", raw["offer"], () => true),
    labels: reader.function("labels", raw["labels"], () => ({})),
    deprecation: readDeprecation(reader, raw["deprecation"]),
  };
  reader.finish();
  return parsed;
}

function readSources(reader: OptionsReader, value: unknown): LegacySource[] {
  const list: unknown[] = Array.isArray(value) ? value : [value];
  if (list.length === 0) reader.problem("legacy", "must name at least one old session system");
  const taken = new Map<string, string>();
  return list.filter((source, index): source is LegacySource => {
    const path = Array.isArray(value) ? `legacy[${index}]` : "legacy";
    if (!isSource(source)) {
      reader.problem(
        path,
        `must be made by koaSession, koaSessionMinimal, koaGenericSession, compasSession, expressSession or cookieSession, got ${describe(source)}`,
      );
      return false;
    }
    const cookies = source.cookieNames.map((name) => `cookie ${name}`);
    // By its name a link knows its source. An application may keep ids elsewhere than in cookies.
    const name = `name ${source.name}`;
    const clashing = cookies.filter((mark) => taken.has(mark));
    if (clashing.length === 0 && taken.has(name)) clashing.push(name);
    for (const mark of clashing) {
      reader.problem(path, `has the same ${mark} as ${taken.get(mark)}`);
    }
    for (const mark of [...cookies, name]) taken.set(mark, taken.get(mark) ?? path);
    return true;
  });
}

const isSource = (value: unknown): value is LegacySource =>
  typeof value === "object" && value !== null && "install" in value && "cookieNames" in value;

function readDeprecation(reader: OptionsReader, value: unknown): Record<string, string> {
  if (value === undefined) return {};
  const { at, sunset, link } = reader.object("deprecation", value, ["at", "sunset", "link"]);
  const headers: Record<string, string> = {};
  if (isDate(at)) headers["Deprecation"] = `@${Math.floor(at.getTime() / 1000)}`;
  else reader.problem("deprecation.at", `must be a Date, got ${describe(at)}`);
  if (isDate(sunset)) {
    headers["Sunset"] = sunset.toUTCString();
    if (isDate(at) && sunset < at) reader.problem("deprecation.sunset", "must not come before at");
  } else if (sunset !== undefined) {
    reader.problem("deprecation.sunset", `must be a Date, got ${describe(sunset)}`);
  }
  if (typeof link === "string" && URL.canParse(link)) {
    headers["Link"] = `<${new URL(link).href}>; rel="deprecation"; type="text/html"`;
  } else if (link !== undefined) {
    reader.problem("deprecation.link", "must be an absolute URL");
  }
  return headers;
}

const isDate = (value: unknown): value is Date =>
  value instanceof Date && !Number.isNaN(value.getTime());
