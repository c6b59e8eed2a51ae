// Imported from here, so that the versions are those of this folder's lockfile.
export { newEvent } from "@compas/stdlib";
export { newPostgresConnection, sessionStoreGet, sessionStoreUpdate } from "@compas/store";
export { default as connectPgSimple } from "connect-pg-simple";
export { default as express } from "express";
export { default as expressSession } from "express-session";
