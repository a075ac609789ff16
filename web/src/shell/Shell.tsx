import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate, useParams, useRouter } from "@tanstack/react-router";
import {
  Boxes,
  ChartLine,
  ChevronsUpDown,
  Columns2,
  Database,
  FlaskConical,
  FolderKanban,
  KeyRound,
  List,
  LogOut,
  MessageSquare,
  Moon,
  Sun,
  SunMoon,
  Trophy,
} from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { metricsQuery, projectsQuery } from "~/api/queries";
import { sessionQuery, signOut } from "~/api/session";
import { Button, cx, IconButton, Menu, MenuChoice, MenuSeparator } from "~/ui";
import { ConnectionBar } from "./ConnectionBar";
import { keepProject, lastProject } from "./lastProject";
import css from "./shell.module.css";
import { showTheme, type Theme, theme } from "./theme";

const PLACES = [
  ["/p/$project/interactions", "Interactions", List],
  ["/p/$project/compare", "Compare", Columns2],
  ["/p/$project/metrics", "Metrics", ChartLine],
  ["/p/$project/ranking", "Ranking", Trophy],
  ["/p/$project/chat", "Chat", MessageSquare],
  ["/p/$project/models", "Models", Boxes],
  ["/p/$project/ab-tests", "A/B tests", FlaskConical],
  ["/p/$project/datasets", "Datasets", Database],
] as const;

/** The frame around every screen: the project, where one can go, who is signed in. */
export function Shell() {
  const { data: projects = [] } = useQuery(projectsQuery);
  const { data: session } = useQuery(sessionQuery);
  const given = useParams({ strict: false }).project;
  const project = given ?? lastProject() ?? projects[0]?.key ?? "default";
  // What nearly every screen needs is there before one goes to it.
  useQuery({ ...metricsQuery(project), enabled: given !== undefined });
  const navigate = useNavigate();
  const mayAdminister = session?.permissions.includes("administer");

  useEffect(() => {
    if (given) keepProject(given);
  }, [given]);

  // Keys scroll the screen that was gone to, and a screen reader goes on there.
  const { pathname } = useLocation();
  const content = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const { activeElement } = document;
    if (pathname && (!activeElement || activeElement === document.body)) content.current?.focus({ preventScroll: true });
  }, [pathname]);

  // The session ended elsewhere: the key was revoked, or it ran out.
  useEffect(() => {
    if (session === null) void navigate({ to: "/sign-in", search: { to: location.pathname + location.search } });
  }, [session, navigate]);

  const shown = projects.find(({ key }) => key === project);
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
        <ul>
          {PLACES.map(([to, name, Icon]) => (
            <li key={to}>
              <Link to={to} params={{ project }} className={css.place} activeProps={{ "data-current": true }}>
                <Icon size={16} aria-hidden />
                <span>{name}</span>
              </Link>
            </li>
          ))}
        </ul>
        <ul className={css.below}>
          <li>
            <Link to="/projects" className={css.place} activeProps={{ "data-current": true }}>
              <FolderKanban size={16} aria-hidden />
              <span>Projects</span>
            </Link>
          </li>
          {mayAdminister && (
            <li>
              <Link to="/keys" className={css.place} activeProps={{ "data-current": true }}>
                <KeyRound size={16} aria-hidden />
                <span>Keys</span>
              </Link>
            </li>
          )}
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
    </div>
  );
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
