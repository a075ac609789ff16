// The routes of the page: the screen of each address. All screens but the list are loaded when first opened.

import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from "@tanstack/react-router";
import { projectsQuery } from "~/api/queries";
import { sessionQuery } from "~/api/session";
import { InteractionsScreen } from "~/screens/interactions/InteractionsScreen";
import { NotFound, Failed } from "~/shell/Faults";
import { lastProject } from "~/shell/lastProject";
import { loadPart } from "~/shell/loadPart";
import { NothingToRead } from "~/shell/NothingToRead";
import { Shell } from "~/shell/Shell";
import { SignIn } from "~/shell/SignIn";

/** A screen whose code is loaded when it is first opened. */
const lazyScreen = ((load, name) => lazyRouteComponent(loadPart(load), name)) as typeof lazyRouteComponent;

/** Search parameters are plain texts, so that links stay readable. */
export type Search = Record<string, string | undefined>;

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: Failed,
});

const signIn = createRoute({
  getParentRoute: () => root,
  path: "/sign-in",
  validateSearch: (search: Search): { to?: string } => ({ to: search.to }),
  component: SignIn,
});

/** The screen for keys of programs, which may log but not read. */
const nothingToRead = createRoute({
  getParentRoute: () => root,
  path: "/nothing-to-read",
  beforeLoad: async ({ context }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/sign-in", replace: true });
    if (session.permissions.includes("read")) throw redirect({ to: "/", replace: true });
  },
  component: NothingToRead,
});

/** All screens except sign-in: they need a session, and have the navigation around them. */
const inside = createRoute({
  getParentRoute: () => root,
  id: "inside",
  beforeLoad: async ({ context, location }) => {
    const session = await context.queries.ensureQueryData(sessionQuery);
    if (!session) throw redirect({ to: "/sign-in", search: { to: location.href }, replace: true });
    if (!session.permissions.includes("read")) throw redirect({ to: "/nothing-to-read", replace: true });
    return { session };
  },
  component: Shell,
});

const home = createRoute({
  getParentRoute: () => inside,
  path: "/",
  beforeLoad: async ({ context }) => {
    const { projects } = await context.queries.ensureQueryData(projectsQuery);
    const last = lastProject();
    const project = projects.find(({ key }) => key === last) ?? projects.find(({ key }) => key === "default") ?? projects[0];
    if (!project) throw redirect({ to: "/projects", replace: true });
    throw redirect({ to: "/p/$project/interactions", params: { project: project.key }, replace: true });
  },
});

/** Remounts screens when the project changes, so that state of one project is never shown in another. */
function OfProject() {
  const { project: key } = project.useParams();
  return <Outlet key={key} />;
}
const project = createRoute({ getParentRoute: () => inside, path: "/p/$project", component: OfProject });

const validateSearch = (search: Search): Search => search;

const interactions = createRoute({
  getParentRoute: () => project,
  path: "/interactions",
  validateSearch,
  component: InteractionsScreen,
});

const interaction = createRoute({
  getParentRoute: () => project,
  path: "/interactions/$completionId",
  component: lazyScreen(() => import("~/screens/interaction/InteractionScreen"), "InteractionScreen"),
});
const sessions = createRoute({
  getParentRoute: () => project,
  path: "/sessions",
  validateSearch,
  component: lazyScreen(() => import("~/screens/sessions/SessionsScreen"), "SessionsScreen"),
});
const session = createRoute({
  getParentRoute: () => project,
  path: "/sessions/$sessionId",
  component: lazyScreen(() => import("~/screens/sessions/SessionScreen"), "SessionScreen"),
});
const start = createRoute({
  getParentRoute: () => project,
  path: "/start",
  component: lazyScreen(() => import("~/screens/start/StartScreen"), "StartScreen"),
});
const overview = createRoute({
  getParentRoute: () => project,
  path: "/overview",
  validateSearch,
  component: lazyScreen(() => import("~/screens/overview/OverviewScreen"), "OverviewScreen"),
});
const compare = createRoute({
  getParentRoute: () => project,
  path: "/compare",
  validateSearch,
  component: lazyScreen(() => import("~/screens/compare/CompareScreen"), "CompareScreen"),
});
const metrics = createRoute({
  getParentRoute: () => project,
  path: "/metrics",
  validateSearch,
  component: lazyScreen(() => import("~/screens/metrics/MetricsScreen"), "MetricsScreen"),
});
const ranking = createRoute({
  getParentRoute: () => project,
  path: "/ranking",
  validateSearch,
  component: lazyScreen(() => import("~/screens/ranking/RankingScreen"), "RankingScreen"),
});
const models = createRoute({
  getParentRoute: () => project,
  path: "/models",
  component: lazyScreen(() => import("~/screens/models/ModelsScreen"), "ModelsScreen"),
});
const chat = createRoute({
  getParentRoute: () => project,
  path: "/chat",
  validateSearch,
  component: lazyScreen(() => import("~/screens/chat/ChatScreen"), "ChatScreen"),
});
const abTests = createRoute({
  getParentRoute: () => project,
  path: "/ab-tests",
  validateSearch,
  component: lazyScreen(() => import("~/screens/abtests/ABTestsScreen"), "ABTestsScreen"),
});
const datasets = createRoute({
  getParentRoute: () => project,
  path: "/datasets",
  validateSearch,
  component: lazyScreen(() => import("~/screens/datasets/DatasetsScreen"), "DatasetsScreen"),
});
const projects = createRoute({
  getParentRoute: () => inside,
  path: "/projects",
  component: lazyScreen(() => import("~/screens/projects/ProjectsScreen"), "ProjectsScreen"),
});
const keys = createRoute({
  getParentRoute: () => inside,
  path: "/keys",
  component: lazyScreen(() => import("~/screens/keys/KeysScreen"), "KeysScreen"),
});

const tree = root.addChildren([
  signIn,
  nothingToRead,
  inside.addChildren([
    home,
    project.addChildren([
      interactions,
      interaction,
      sessions,
      session,
      start,
      overview,
      compare,
      metrics,
      ranking,
      models,
      chat,
      abTests,
      datasets,
    ]),
    projects,
    keys,
  ]),
]);

export function makeRouter(queries: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { queries },
    // Errors are shown inside the frame, so that the navigation stays usable.
    defaultErrorComponent: Failed,
    defaultPreload: "intent",
    scrollRestoration: false,
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const given = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
      const text = new URLSearchParams(given as [string, string][]).toString();
      return text ? `?${text}` : "";
    },
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}
