import { chromium, type Browser } from "playwright-core";
import { findServer } from "./find-server.js";

/** Debian's Chromium, without a window. */
export async function startChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findServer("chromium", "Chromium"),
    // The superuser, as whom containers run, gets no sandbox. No test opens a page of anybody else.
    args: ["--no-sandbox"],
  });
}
