// The older published versions are installed under other names, which no package has types for.

declare module "koa-2" {
  import Koa from "koa";
  export default Koa;
}

declare module "koa-session-5" {
  import session from "koa-session";
  export default session;
}

declare module "koa-session-6" {
  import session from "koa-session";
  export default session;
}
