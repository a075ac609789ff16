import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate, useParams, useRouter } from "@tanstack/react-router";
import { ChevronsUpDown, LogOut, Moon, Search, Sun, SunMoon } from "lucide-react";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { interactionQuery, metricsQuery, projectsQuery } from "~/api/queries";
import { sessionQuery, signOut } from "~/api/session";
import { Button, cx, IconButton, Menu, MenuChoice, MenuSeparator } from "~/ui";
import { ConnectionBar } from "./ConnectionBar";
import { keepProject, lastProject } from "./lastProject";
import { PROJECT_PLACES, SERVER_PLACES } from "./places";
import css from "./shell.module.css";
import { showTheme, type Theme, theme } from "./theme";
import { useGoToKeys } from "./useGoToKeys";
import { useMay } from "./useMay";
import { windowTitle } from "./windowTitle";

const CommandPalette = lazy(() => import("./CommandPalette"));

const PALETTE_KEY = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘K" : "Ctrl K";

/** The frame around every screen: the project, the navigation, the signed-in user. */
export function Shell() {
  const { data: projects = [] } = useQuery(projectsQuery);
  const { data: session } = useQuery(sessionQuery);
  const given = useParams({ strict: false }).project;
  const project = given ?? lastProject() ?? projects[0]?.key ?? "default";
  // Prefetch data that nearly every screen needs.
  useQuery({ ...metricsQuery(project), enabled: given !== undefined });
  const navigate = useNavigate();
  const may = useMay();
  const [isPaletteOpen, setPaletteOpen] = useState(false);

  useEffect(() => {
    if (given) keepProject(given);
  }, [given]);

  // Move the focus to the new screen, so that keys scroll it and a screen reader continues there.
  const { pathname } = useLocation();
  const content = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { activeElement } = document;
    if (pathname && (!activeElement || activeElement === document.body)) content.current?.focus({ preventScroll: true });
  }, [pathname]);

  // The session has ended: the key was revoked, or it expired.
  useEffect(() => {
    if (session === null) void navigate({ to: "/sign-in", search: { to: location.pathname + location.search } });
  }, [session, navigate]);

  const shown = projects.find(({ key }) => key === project);
  useWindowTitle(given && (projects.find(({ key }) => key === given)?.name ?? given));
  useGoToKeys(
    (key) => {
      const place = PROJECT_PLACES.find((one) => one[3] === key);
      if (place) void navigate({ to: place[0], params: { project } });
      const other = SERVER_PLACES.find((one) => one[3] === key);
      if (other) void navigate({ to: other[0] });
      return Boolean(place ?? other);
    },
    () => setPaletteOpen(true),
  );
  return (
    <div className={css.frame}>
      <a href="#content" className={css.skip}>
        Skip to the content
      </a>
      <nav className={css.nav} aria-label="Main">
        <Menu
          trigger={
            <Button look="plain" className={css.project} aria-label={`Project ${shown?.name ?? project}`}>
              <img src="/icon.svg" alt="" width={20} height={20} />
              <span>{shown?.name ?? project}</span>
              <ChevronsUpDown size={14} aria-hidden />
            </Button>
          }
        >
          {projects.map(({ key, name }) => (
            <MenuChoice
              key={key}
              checked={key === project}
              onClick={() => navigate({ to: "/p/$project/interactions", params: { project: key } })}
            >
              {name}
            </MenuChoice>
          ))}
          <MenuSeparator />
          <MenuChoice onClick={() => navigate({ to: "/projects" })}>All projects…</MenuChoice>
        </Menu>
        <Button
          look="plain"
          className={css.search}
          onClick={() => setPaletteOpen(true)}
          aria-label={`Go to… ${PALETTE_KEY}`}
          aria-keyshortcuts="Meta+K Control+K"
        >
          <Search size={15} aria-hidden />
          <span>Go to…</span>
          <kbd>{PALETTE_KEY}</kbd>
        </Button>
        <ul>
          {PROJECT_PLACES.map(([to, name, Icon]) => (
            <li key={to}>
              <Link to={to} params={{ project }} className={css.place} activeProps={{ "data-current": true }}>
                <Icon size={16} aria-hidden />
                <span>{name}</span>
              </Link>
            </li>
          ))}
        </ul>
        <ul className={css.below}>
          {SERVER_PLACES.filter(([to]) => to !== "/keys" || may("administer")).map(([to, name, Icon]) => (
            <li key={to}>
              <Link to={to} className={css.place} activeProps={{ "data-current": true }}>
                <Icon size={16} aria-hidden />
                <span>{name}</span>
              </Link>
            </li>
          ))}
        </ul>
        <div className={css.foot}>
          <span className={css.who} title={session ? `${session.name} (${session.role})` : ""}>
            {session?.name}
          </span>
          <ThemeButton />
          <SignOutButton />
        </div>
      </nav>
      <div className={css.main}>
        <div id="content" ref={content} className={css.content} tabIndex={-1}>
          <Outlet />
        </div>
        <ConnectionBar />
      </div>
      {isPaletteOpen && (
        <Suspense>
          <CommandPalette project={project} onClose={() => setPaletteOpen(false)} />
        </Suspense>
      )}
    </div>
  );
}

/** Set the window's title from its content, so that tabs can be told apart. */
function useWindowTitle(project: string | undefined): void {
  const { pathname, search } = useLocation();
  const open = pathname.split("/")[4] ?? (search as { open?: string }).open;
  // The interaction's own screen fetches it; here only the cache is read.
  const { data } = useQuery({ ...interactionQuery(open ?? ""), enabled: false });
  const title = windowTitle({ pathname, search: { ...search }, project, prompt: data?.prompt });
  useEffect(() => {
    document.title = title;
  }, [title]);
}

function ThemeButton() {
  const [now, setNow] = useState<Theme>(theme());
  const next: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
  const Icon = { system: SunMoon, light: Sun, dark: Moon }[now];
  return (
    <IconButton
      small
      label={`Theme: ${now}`}
      onClick={() => {
        showTheme(next[now]);
        setNow(next[now]);
      }}
    >
      <Icon size={15} aria-hidden />
    </IconButton>
  );
}

function SignOutButton() {
  const queries = useQueryClient();
  const router = useRouter();
  return (
    <IconButton
      small
      label="Sign out"
      className={cx(css.signOut)}
      onClick={async () => {
        await signOut();
        queries.clear();
        await router.navigate({ to: "/sign-in" });
      }}
    >
      <LogOut size={15} aria-hidden />
    </IconButton>
  );
}
