import { ChevronRight, ChevronsDownUp, ChevronsUpDown, Route, Search } from "lucide-react";
import { type KeyboardEvent, type ReactNode, useDeferredValue, useMemo, useRef, useState } from "react";
import { jsonText } from "~/api/json";
import { CopyButton, IconButton, Input } from "~/ui";
import { count, counted } from "~/ui/values";
import css from "./json.module.css";
import { type JsonRow, parentOf, rowsOf, search } from "./jsonTree";
import { pretty } from "~/rules/parts";
import { useGrowing } from "./useGrowing";

/** Longer texts are cut until they are expanded. */
const MOST_CHARACTERS = 400;

type JsonTreeProps = {
  value: unknown;
  name: string;
  /** Whether it has a search field. */
  isSearched?: boolean;
};

/** A JSON tree that can be folded and searched. Values and their paths can be copied. */
export function JsonTree({ value, name, isSearched = false }: JsonTreeProps) {
  const [opened, setOpened] = useState<ReadonlyMap<string, boolean>>(new Map());
  const [sought, setSought] = useState("");
  const text = useDeferredValue(sought.trim());
  const result = useMemo(() => (text ? search(value, text) : null), [value, text]);
  const rows = useMemo(() => rowsOf(value, opened, result?.found), [value, opened, result]);
  const drawn = useGrowing(rows.length, 120, 200);
  const [focused, setFocused] = useState(0);
  const tree = useRef<HTMLDivElement>(null);

  const open = (row: JsonRow, isOpen: boolean) => setOpened((before) => new Map(before).set(row.path, isOpen));
  const openAll = (isOpen: boolean) =>
    setOpened(new Map(rowsOf(value, ALWAYS_OPEN).filter(({ size, depth }) => size && depth > 0).map(({ path }) => [path, isOpen])));
  function focus(at: number) {
    setFocused(at);
    tree.current?.querySelectorAll<HTMLElement>("[role=treeitem]")[at]?.focus();
  }
  function onKeyDown(event: KeyboardEvent) {
    const row = rows[focused];
    if (!row || event.target !== event.currentTarget.querySelector("[tabindex='0']")) return;
    const act = {
      ArrowDown: () => focus(Math.min(rows.length - 1, focused + 1)),
      ArrowUp: () => focus(Math.max(0, focused - 1)),
      ArrowRight: () => (row.size && !row.isOpen ? open(row, true) : focus(Math.min(rows.length - 1, focused + 1))),
      ArrowLeft: () => (row.isOpen ? open(row, false) : focus(parentOf(rows, focused) ?? 0)),
      Enter: () => row.size && open(row, !row.isOpen),
      Home: () => focus(0),
      End: () => focus(Math.min(drawn, rows.length) - 1),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }
  return (
    <div className={css.json}>
      {isSearched && (
        <div className={css.tools}>
          <Search size={14} aria-hidden />
          <Input
            type="search"
            aria-label="Search in the JSON"
            placeholder="Search keys and values"
            value={sought}
            onChange={(event) => {
              setSought(event.target.value);
              setOpened(new Map());
              setFocused(0);
            }}
          />
          <span role="status">{result && `${count(result.count)} found`}</span>
          <IconButton small label="Unfold all" onClick={() => openAll(true)}>
            <ChevronsUpDown size={14} aria-hidden />
          </IconButton>
          <IconButton small label="Fold all" onClick={() => openAll(false)}>
            <ChevronsDownUp size={14} aria-hidden />
          </IconButton>
        </div>
      )}
      <div role="tree" aria-label={name} ref={tree} onKeyDown={onKeyDown}>
        {rows.slice(0, drawn).map((row, at) => (
          <Row
            key={row.path}
            row={row}
            sought={text}
            isChosen={at === Math.min(focused, rows.length - 1)}
            onChoose={() => setFocused(at)}
            onOpen={(isOpen) => open(row, isOpen)}
          />
        ))}
      </div>
    </div>
  );
}

const ALWAYS_OPEN: ReadonlyMap<string, boolean> = { get: () => true } as unknown as ReadonlyMap<string, boolean>;

type RowProps = {
  row: JsonRow;
  sought: string;
  /** Whether it has the tab stop, and shows its copy buttons. */
  isChosen: boolean;
  onChoose: () => void;
  onOpen: (isOpen: boolean) => void;
};

function Row({ row, sought, isChosen, onChoose, onOpen }: RowProps) {
  const { name, value, path, depth, size, isOpen } = row;
  const isArray = Array.isArray(value);
  return (
    <div
      role="treeitem"
      aria-level={depth + 1}
      aria-expanded={size ? isOpen : undefined}
      tabIndex={isChosen ? 0 : -1}
      className={css.row}
      style={{ paddingInlineStart: depth * 16 }}
      onFocus={onChoose}
      onPointerEnter={onChoose}
    >
      {size ? (
        <button type="button" tabIndex={-1} aria-label={isOpen ? "Fold" : "Unfold"} onClick={() => onOpen(!isOpen)}>
          <ChevronRight size={13} aria-hidden data-open={isOpen} />
        </button>
      ) : (
        <span className={css.gap} />
      )}
      <span className={css.text}>
        {name !== null && (
          <>
            <bdi className={typeof name === "number" ? css.place : css.key}>
              {typeof name === "number" ? name : marked(JSON.stringify(name), sought)}
            </bdi>
            {": "}
          </>
        )}
        {size === null ? (
          <Leaf value={value} sought={sought} />
        ) : (
          <span className={css.around} onClick={size ? () => onOpen(!isOpen) : undefined}>
            {isArray ? "[" : "{"}
            {size > 0 && <small>{` ${counted(size, isArray ? "item" : "member")} `}</small>}
            {isArray ? "]" : "}"}
          </span>
        )}
      </span>
      {isChosen && (
        <span className={css.acts}>
          {path && <CopyButton label={`Copy the path ${path}`} text={path} icon={<Route size={13} aria-hidden />} />}
          <CopyButton label={`Copy the value of ${path || "all"}`} text={() => pretty(value)} />
        </span>
      )}
    </div>
  );
}

/** A scalar. A text keeps its lines, a number all its digits. */
function Leaf({ value, sought }: { value: unknown; sought: string }) {
  const [isWhole, setWhole] = useState(false);
  const text = jsonText(value) ?? "";
  if (typeof value !== "string") return <span className={css.literal}>{marked(text, sought)}</span>;
  // A match may be behind the cut.
  const isCut = value.length > MOST_CHARACTERS && !isWhole && !(sought && value.toLowerCase().includes(sought.toLowerCase()));
  return (
    <>
      <bdi className={css.string}>
        {"\""}
        {marked(isCut ? value.slice(0, MOST_CHARACTERS) : value, sought)}
        {isCut ? "…" : ""}
        {"\""}
      </bdi>
      {isCut && (
        <button type="button" className={css.more} onClick={() => setWhole(true)}>
          {`Show all ${count(value.length)} characters`}
        </button>
      )}
    </>
  );
}

/** Return a text with the matches marked. */
function marked(text: string, sought: string): ReactNode {
  if (!sought) return text;
  const [low, wanted] = [text.toLowerCase(), sought.toLowerCase()];
  const found: ReactNode[] = [];
  let at = 0;
  for (let next = low.indexOf(wanted); next >= 0 && found.length < 400; next = low.indexOf(wanted, at)) {
    found.push(text.slice(at, next), <mark key={next}>{text.slice(next, next + wanted.length)}</mark>);
    at = next + wanted.length;
  }
  return [...found, text.slice(at)];
}
