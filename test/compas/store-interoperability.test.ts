import { decodeJwt } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSessionStore } from "../../src/tokens/index.js";
import {
  accessTokenMaxAgeInSeconds,
  type BothStores,
  openBothStores,
  refreshTokenMaxAgeInSeconds,
  signingKey,
  travel,
} from "../support/both-stores.js";

let stores: BothStores;

beforeAll(async () => {
  stores = await openBothStores();
});
afterAll(() => stores.close());

const directions = [
  { issuer: "compas", other: "bridge" },
  { issuer: "bridge", other: "compas" },
] as const;

describe.each(directions)("a session that $issuer issued", (direction) => {
  const sides = () => ({ issuer: stores[direction.issuer], other: stores[direction.other] });

  test("is read by the other, the same session with the same data", async () => {
    const { issuer, other } = sides();
    const data = { userId: "user-1", nested: { list: [1, null, "é"] }, a: true };
    const { accessToken } = await issuer.create(data);
    const session = (await other.get(accessToken))!;
    expect(session).toMatchObject(await issuer.get(accessToken).then((own) => ({ id: own!.id })));
    expect(session.data).toEqual(data);
  });

  test("is changed by the other, and changed back", async () => {
    const { issuer, other } = sides();
    const { accessToken } = await issuer.create({ userId: "user-1", visits: 1 });
    for (const [visits, side] of [other, issuer, other].entries()) {
      const session = (await side.get(accessToken))!;
      session.data["visits"] = visits;
      await side.update(session);
      for (const reader of [issuer, other]) {
        expect((await reader.get(accessToken))?.data).toEqual({ userId: "user-1", visits });
      }
    }
  });

  test("is ended by the other, for both and for all its tokens", async () => {
    const { issuer, other } = sides();
    const first = await issuer.create({ userId: "user-1" });
    const second = (await issuer.refreshTokens(first.refreshToken))!;
    const { id } = (await other.get(second.accessToken))!;
    await other.invalidate({ id });
    for (const side of [issuer, other]) {
      for (const { accessToken, refreshToken } of [first, second]) {
        expect(await side.get(accessToken)).toBeUndefined();
        expect(await side.refreshTokens(refreshToken)).toBeUndefined();
      }
    }
  });

  test("is refreshed by the other, and so on in turn", async () => {
    const { issuer, other } = sides();
    let pair = await issuer.create({ userId: "user-1" });
    const { id } = (await issuer.get(pair.accessToken))!;
    for (const side of [other, issuer, other, other, issuer, issuer, other]) {
      travel(60);
      pair = (await side.refreshTokens(pair.refreshToken))!;
      for (const reader of [issuer, other]) {
        expect(await reader.get(pair.accessToken)).toMatchObject({
          id,
          data: { userId: "user-1" },
        });
      }
    }
  });

  test("has tokens that each side takes in their own place only, and until they expire", async () => {
    const { issuer, other } = sides();
    const { accessToken, refreshToken } = await issuer.create({ userId: "user-1" });
    expect(await other.get(refreshToken)).toBeUndefined();
    expect(await other.refreshTokens(accessToken)).toBeUndefined();
    travel(accessTokenMaxAgeInSeconds - 2);
    expect(await other.get(accessToken)).toBeDefined();
    travel(4);
    expect(await other.get(accessToken)).toBeUndefined();
    travel(refreshTokenMaxAgeInSeconds);
    expect(await other.refreshTokens(refreshToken)).toBeUndefined();
  });
});

describe("the access token of a pair that was refreshed", () => {
  test("by Compas is refused by both", async () => {
    for (const issuer of [stores.compas, stores.bridge]) {
      const { accessToken, refreshToken } = await issuer.create({});
      await stores.compas.refreshTokens(refreshToken);
      travel(1);
      expect(await stores.compas.get(accessToken)).toBeUndefined();
      expect(await stores.bridge.get(accessToken)).toBeUndefined();
    }
  });

  test("by the bridge is good for both until it expires", async () => {
    for (const issuer of [stores.compas, stores.bridge]) {
      const { accessToken, refreshToken } = await issuer.create({});
      await stores.bridge.refreshTokens(refreshToken);
      travel(1);
      expect(await stores.compas.get(accessToken)).toBeDefined();
      expect(await stores.bridge.get(accessToken)).toBeDefined();
    }
  });
});

describe("a change by Compas, which replaces the data,", () => {
  test("is merged with what the bridge changes meanwhile", async () => {
    const { accessToken } = await stores.compas.create({ a: 1, b: 1, c: 1 });
    const mine = (await stores.bridge.get(accessToken))!;
    const theirs = (await stores.compas.get(accessToken))!;
    theirs.data = { a: 1, b: 2 };
    await stores.compas.update(theirs);
    mine.data["a"] = 2;
    await stores.bridge.update(mine);
    expect((await stores.compas.get(accessToken))?.data).toEqual({ a: 2, b: 2 });
  });

  test("is a version: one that was read holds, one before it is a conflict", async () => {
    const { accessToken } = await stores.bridge.create({ a: 1 });
    const before = (await stores.bridge.get(accessToken))!;
    const theirs = (await stores.compas.get(accessToken))!;
    await stores.compas.update({ ...theirs, data: { a: 2 } });
    const { id, checksum } = (await stores.bridge.get(accessToken))!;
    const stale = stores.bridge.update({ id, checksum: before.checksum, data: { a: 3 } });
    await expect(stale).rejects.toMatchObject({ code: "session-conflict" });
    await stores.bridge.update({ id, checksum, data: { a: 4 } });
    expect((await stores.compas.get(accessToken))?.data).toEqual({ a: 4 });
  });

  test("brings no session back that has ended", async () => {
    const { accessToken } = await stores.bridge.create({ a: 1 });
    const session = (await stores.compas.get(accessToken))!;
    await stores.bridge.invalidate(session);
    await stores.compas.update({ ...session, data: { a: 2 } });
    expect(await stores.compas.get(accessToken)).toBeUndefined();
    expect(await stores.bridge.get(accessToken)).toBeUndefined();
  });
});

test("once compas is turned off, what was issued with it stays good, and what Compas issued is refused", async () => {
  const own = createSessionStore({
    pool: stores.database.pool,
    signingKeys: [{ kid: "shared", alg: "HS256", key: signingKey }],
  });
  const ours = await stores.bridge.create({ a: 1 });
  const theirs = await stores.compas.create({ a: 1 });
  expect((await own.get(ours.accessToken))?.data).toEqual({ a: 1 });
  const next = (await own.refreshTokens(ours.refreshToken))!;
  expect(decodeJwt(next.accessToken)["compasSessionAccessToken"]).toBeUndefined();
  expect(await stores.compas.get(next.accessToken)).toBeUndefined();
  expect(await own.get(theirs.accessToken)).toBeUndefined();
});

test("a refresh is still one statement", async () => {
  const { refreshToken } = await stores.compas.create({});
  stores.database.statements.reset();
  expect(await stores.bridge.refreshTokens(refreshToken)).toBeDefined();
  expect(stores.database.queries).toHaveLength(1);
});
