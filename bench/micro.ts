import pg from "pg";
import { withArguments } from "./arguments.js";
import { dataOf, headerOf, idOf, keyId } from "./credentials.js";
import { importBuilt } from "./product.js";
import { onStage, type Stage, tell } from "./stage.js";
import { markdownTable } from "./table.js";
import { timed, type Timing, timingRow } from "./timing.js";
import { seedTokens, settle } from "./world.js";

const help = `Usage: npm run bench:micro [-- --json]

Times the parts of a request one by one, in this process: tokens, changes, ctx.session, coalescing, and
look-ups of 1 to 64 sessions on a PostgreSQL of its own.

Options:
  --json   print JSON instead of a table
  --help   show this

Examples:
  npm run bench:micro
  npm run bench:micro -- --json > parts.json

It takes half a minute; Ctrl-C ends it and leaves nothing.

Exit codes: 0 measured, 1 failed, 2 wrong usage, 130 interrupted.
`;

const sessions = 30_000;

/** The parts that need no database. */
async function parts({ world, signal }: Stage): Promise<Timing[]> {
  const product = { url: world.product };
  const [jwt, keys, commit, session, coalescing] = await Promise.all([
    importBuilt<typeof import("../src/tokens/jwt.js")>(product, "tokens/jwt.js"),
    importBuilt<typeof import("../src/tokens/keys.js")>(product, "tokens/keys.js"),
    importBuilt<typeof import("../src/commit.js")>(product, "commit.js"),
    importBuilt<typeof import("../src/tokens/session.js")>(product, "tokens/session.js"),
    importBuilt<typeof import("../src/store/coalesce.js")>(product, "store/coalesce.js"),
  ]);
  const key = { kid: keyId, alg: "HS256" as const, key: world.secrets.signingKey };
  const codec = jwt.createTokenCodec({
    keys: [keys.importSigningKey(key)],
    issuer: undefined,
    audience: undefined,
    compas: false,
  });
  // More than are remembered.
  const tokens = Array.from({ length: sessions }, (_, n) =>
    headerOf(world.secrets, "bearer", n).slice("Authorization: Bearer ".length),
  );
  let turn = 0;
  const next = () => tokens[(turn = (turn + 1) % tokens.length)] ?? "";
  const now = new Date();
  const seconds = Math.floor(now.getTime() / 1000);
  const pair = {
    accessToken: idOf("access", 1),
    refreshToken: idOf("refresh", 1),
    issuedAt: seconds,
    accessTokenExpiresAt: seconds + 900,
    refreshTokenExpiresAt: seconds + 86_400,
  };
  const data = dataOf(1);
  const json = JSON.stringify(data);
  const owner = {
    isNew: false,
    externalKey: undefined,
    maxAgeInSeconds: null,
    defaultMaxAgeInSeconds: 900,
    keepsUnderscored: false,
    commit: () => Promise.resolve(),
  };
  const found = coalescing.coalesce(async (ids) => new Map(ids.map((id) => [id, id])));
  const ids = Array.from({ length: 64 }, (_, n) => idOf("access", n));

  const time = (name: string, operation: () => unknown) => timed(name, operation, signal);
  return [
    await time("verify a token, first time", () => codec.verifyAccessToken(next(), now)),
    await time("verify a token, remembered", () => codec.verifyAccessToken(tokens[0] ?? "", now)),
    await time("sign a pair", () => codec.signPair(idOf("session", 1), pair)),
    await time("parse the data", () => commit.parseData(json)),
    await time("no changes", () => commit.changesBetween(data, commit.parseData(json))),
    await time("one change, serialised", () =>
      JSON.stringify(commit.changesBetween(data, { ...data, count: 1 })),
    ),
    await time("make ctx.session", () => session.createSession(owner, data)),
    await time("coalesce 64 look-ups", () => Promise.all(ids.map(found))),
  ];
}

/** Look-ups of several sessions at once, as many statements as the package makes of them. */
async function lookUps({ world, signal }: Stage): Promise<Timing[]> {
  const product = { url: world.product };
  const [database, reading] = await Promise.all([
    importBuilt<typeof import("../src/store/database.js")>(product, "store/database.js"),
    importBuilt<typeof import("../src/store/read-sessions.js")>(product, "store/read-sessions.js"),
  ]);
  const pool = new pg.Pool({ connectionString: world.databaseUrl, max: 10 });
  const timings: Timing[] = [];
  try {
    for (const preparedStatements of [false, true]) {
      const db = database.createDatabase({
        pool,
        preparedStatements,
        clock: () => new Date(),
        generateId: () => crypto.randomUUID(),
      });
      const read = reading.sessionReader(db, { withLinks: false });
      for (const size of [1, 4, 16, 64]) {
        let turn = 0;
        const name = `look up ${size}, ${preparedStatements ? "named" : "unnamed"}`;
        const timing = await timed(
          name,
          () => {
            turn = (turn + 1) % (sessions / 64);
            const ids = Array.from({ length: size }, (_, n) => idOf("access", 1 + turn * 64 + n));
            return Promise.all(ids.map(read));
          },
          signal,
        );
        timings.push(timing);
      }
    }
  } finally {
    await pool.end();
  }
  return timings;
}

process.exitCode = await withArguments(help, { json: { type: "boolean" } }, ({ json }) =>
  onStage(async (stage) => {
    tell(`Seeding ${sessions} sessions.`);
    await seedTokens(stage.pool, sessions);
    await settle(stage.pool);
    const timings = [...(await parts(stage)), ...(await lookUps(stage))];
    const table = markdownTable(["", "µs", "min–max", "per second"], timings.map(timingRow));
    process.stdout.write(`${json ? JSON.stringify(timings, null, 2) : table}\n`);
    return 0;
  }),
);
