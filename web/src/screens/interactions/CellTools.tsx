import { Minus, Plus } from "lucide-react";
import { type RefObject, useEffect, useState } from "react";
import css from "./interactions.module.css";

type CellToolsProps = {
  within: RefObject<HTMLElement | null>;
  onCondition: (condition: string, role: "only" | "without") => void;
};

/** The width of both buttons, in pixels. */
const WIDTH = 48;

type Place = { condition: string; text: string; top: number; left: number };

/** Two small buttons over the value under the pointer: filter by it, or exclude it. The whole table shares one pair;
 * keyboard users find the same in the facets. */
export function CellTools({ within, onCondition }: CellToolsProps) {
  const [place, setPlace] = useState<Place | null>(null);
  useEffect(() => {
    const table = within.current;
    if (!table) return;
    function onOver(event: Event) {
      const target = event.target as HTMLElement;
      if (target.closest("[data-celltools]")) return;
      const value = target.closest<HTMLElement>("[data-condition]");
      if (!value || !table) {
        setPlace(null);
        return;
      }
      const box = value.getBoundingClientRect();
      const cell = (value.closest("[role=gridcell]") ?? value).getBoundingClientRect();
      const outer = table.getBoundingClientRect();
      setPlace({
        condition: value.dataset.condition ?? "",
        text: value.textContent ?? "",
        top: box.top - outer.top + table.scrollTop + box.height / 2,
        // Beside the value, and within the visible part of the table.
        left: Math.min(box.right, cell.right, outer.right - WIDTH) - outer.left + table.scrollLeft,
      });
    }
    const gone = () => setPlace(null);
    table.addEventListener("mouseover", onOver);
    table.addEventListener("mouseleave", gone);
    table.addEventListener("scroll", gone);
    return () => {
      table.removeEventListener("mouseover", onOver);
      table.removeEventListener("mouseleave", gone);
      table.removeEventListener("scroll", gone);
    };
  }, [within]);
  if (!place) return null;
  const act = (role: "only" | "without") => {
    setPlace(null);
    onCondition(place.condition, role);
  };
  return (
    <div className={css.cellTools} data-celltools style={{ top: place.top, left: place.left }}>
      <button type="button" tabIndex={-1} title={`Only ${place.condition}`} aria-label={`Only ${place.condition}`} onClick={() => act("only")}>
        <Plus size={12} aria-hidden />
      </button>
      <button type="button" tabIndex={-1} title={`Without ${place.condition}`} aria-label={`Without ${place.condition}`} onClick={() => act("without")}>
        <Minus size={12} aria-hidden />
      </button>
    </div>
  );
}
