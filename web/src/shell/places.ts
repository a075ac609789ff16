// The table of screens for the navigation, the keys, the command palette and window titles.

import {
  Boxes,
  ChartLine,
  Columns2,
  Database,
  FlaskConical,
  FolderKanban,
  Gauge,
  KeyRound,
  List,
  MessageSquare,
  MessagesSquare,
  Trophy,
} from "lucide-react";

/** The screens of a project, with the key that leads to each after `g`. */
export const PROJECT_PLACES = [
  ["/p/$project/interactions", "Interactions", List, "i"],
  ["/p/$project/sessions", "Sessions", MessagesSquare, "s"],
  ["/p/$project/overview", "Overview", Gauge, "o"],
  ["/p/$project/compare", "Compare", Columns2, "c"],
  ["/p/$project/metrics", "Metrics", ChartLine, "m"],
  ["/p/$project/ranking", "Ranking", Trophy, "r"],
  ["/p/$project/chat", "Chat", MessageSquare, "t"],
  ["/p/$project/models", "Models", Boxes, "l"],
  ["/p/$project/ab-tests", "A/B tests", FlaskConical, "a"],
  ["/p/$project/datasets", "Datasets", Database, "d"],
] as const;

/** The screens of no project. */
export const SERVER_PLACES = [
  ["/projects", "Projects", FolderKanban, "p"],
  ["/keys", "Keys", KeyRound, "k"],
] as const;
