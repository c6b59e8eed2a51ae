import type { Credential } from "./credentials.js";

/** Where a variant keeps its sessions: the tables to count in and to revoke in. */
export type Sessions = "none" | "tokens" | "upgraded" | "old" | "express";

export interface Variant {
  /** For the command line. */
  readonly id: string;
  readonly name: string;
  readonly credential: Credential;
  readonly sessions: Sessions;
  /** This package's own. */
  readonly isOwn?: true;
  /** Also measured reading and writing. */
  readonly writes?: true;
  /** Needs the packages of bench/peers. */
  readonly needsPeers?: true;
  /** A revoked session is refused within this time; without it, by the very next request. */
  readonly revocationDelayInMs?: number;
}

/** What all ratios are against. */
export const bareKoa = "bare";
export const oldWay = "koa-session";

/** Everything that is measured; apps.ts has the application of each. */
export const variants: readonly Variant[] = [
  { id: bareKoa, name: "bare koa, no session", credential: "none", sessions: "none" },
  { id: "stateless", name: "jose alone, stateless", credential: "claims", sessions: "none" },
  { id: "select", name: "one SELECT by primary key", credential: "opaque", sessions: "tokens" },
  { id: "join", name: "jose and one join", credential: "bearer", sessions: "tokens" },
  {
    id: "strict",
    name: "tokenSession",
    credential: "bearer",
    sessions: "tokens",
    isOwn: true,
    writes: true,
  },
  {
    id: "bridge",
    name: "sessionBridge, token",
    credential: "bearer",
    sessions: "tokens",
    isOwn: true,
    writes: true,
  },
  {
    id: "cached",
    name: "tokenSession with cache",
    credential: "bearer",
    sessions: "tokens",
    isOwn: true,
    revocationDelayInMs: 1000,
  },
  {
    id: "cookie",
    name: "sessionBridge, upgraded cookie",
    credential: "store-cookie",
    sessions: "upgraded",
    isOwn: true,
  },
  {
    id: "cookie-offer",
    name: "sessionBridge, cookie offered tokens",
    credential: "store-cookie",
    sessions: "upgraded",
    isOwn: true,
  },
  {
    id: oldWay,
    name: "koa-session, old store",
    credential: "store-cookie",
    sessions: "old",
    writes: true,
  },
  {
    id: "koa-session-cookie",
    name: "koa-session, cookie only",
    credential: "data-cookie",
    sessions: "none",
  },
  {
    id: "compas",
    name: "@compas/store",
    credential: "compas",
    sessions: "tokens",
    writes: true,
    needsPeers: true,
  },
  {
    id: "express",
    name: "express-session, connect-pg-simple",
    credential: "express-cookie",
    sessions: "express",
    writes: true,
    needsPeers: true,
  },
];
