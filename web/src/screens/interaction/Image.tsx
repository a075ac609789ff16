import { ImageOff, Minus, Plus } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Button, Dialog, IconButton, Kbd } from "~/ui";
import css from "./conversation.module.css";
import { isOwnImage } from "~/rules/parts";

/** The factor of a zoom step, and the limits of the zoom. */
const STEP = 1.25;
const LEAST = 0.1;
const MOST = 16;
/** Pixels that an arrow key moves the image by. */
const MOVE = 80;

type Size = { width: number; height: number };

/** A small image in its place; a click enlarges it. Images of other hosts are named and never loaded. */
export function Image({ url, alt = "" }: { url: string; alt?: string }) {
  const [isOpen, setOpen] = useState(false);
  const [size, setSize] = useState<Size | null>(null);
  const [isLost, setLost] = useState(false);
  if (!isOwnImage(url) || isLost) {
    return (
      <span className={css.noImage} title={url.slice(0, 300)}>
        <ImageOff size={13} aria-hidden /> {isLost ? "This image cannot be shown" : `Not loaded: ${url.slice(0, 120)}`}
      </span>
    );
  }
  return (
    <>
      <button type="button" className={css.image} onClick={() => setOpen(true)} aria-label={`Enlarge: ${alt || "image"}`}>
        <img
          src={url}
          alt={alt}
          loading="lazy"
          onError={() => setLost(true)}
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setSize({ width: naturalWidth, height: naturalHeight })}
        />
      </button>
      <Dialog title={alt || "Image"} open={isOpen} onClose={() => setOpen(false)} size="wide">
        {size && <Enlarged url={url} alt={alt} size={size} />}
      </Dialog>
    </>
  );
}

/** An enlarged image that can be zoomed and moved, by mouse or by key. */
function Enlarged({ url, alt, size }: { url: string; alt: string; size: Size }) {
  const place = useRef<HTMLDivElement>(null);
  /** Page pixels per image pixel; null if the image is fitted to the window. */
  const [scale, setScale] = useState<number | null>(null);

  function zoom(by: number) {
    const shown = place.current?.querySelector("img")?.clientWidth ?? size.width;
    setScale(Math.min(MOST, Math.max(LEAST, (scale ?? shown / size.width) * by)));
  }
  const move = (x: number, y: number) => place.current?.scrollBy(x * MOVE, y * MOVE);
  const keys = useRef<Record<string, () => void>>({});
  keys.current = {
    "+": () => zoom(STEP),
    "=": () => zoom(STEP),
    "-": () => zoom(1 / STEP),
    "0": () => setScale(null),
    "1": () => setScale(1),
    ArrowLeft: () => move(-1, 0),
    ArrowRight: () => move(1, 0),
    ArrowUp: () => move(0, -1),
    ArrowDown: () => move(0, 1),
  };
  useEffect(() => {
    // Keys work wherever in the dialog the focus is.
    const dialog = place.current?.closest<HTMLElement>("[role=dialog]");
    function onKeyDown(event: KeyboardEvent) {
      const act = keys.current[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    }
    dialog?.addEventListener("keydown", onKeyDown);
    return () => dialog?.removeEventListener("keydown", onKeyDown);
  }, []);
  return (
    <div>
      <div ref={place} className={css.enlarged} data-whole={scale !== null} tabIndex={0} role="region" aria-label="The image">
        <img
          src={url}
          alt={alt}
          style={scale === null ? undefined : { width: size.width * scale }}
          onDoubleClick={() => setScale(scale === null ? 1 : null)}
        />
      </div>
      <div className={css.under}>
        <span>
          {`${size.width} × ${size.height}`}
          <span role="status">{scale !== null && `, ${Math.round(scale * 100)} %`}</span>
        </span>
        <IconButton small label="Smaller (-)" onClick={() => zoom(1 / STEP)}>
          <Minus size={14} aria-hidden />
        </IconButton>
        <IconButton small label="Larger (+)" onClick={() => zoom(STEP)}>
          <Plus size={14} aria-hidden />
        </IconButton>
        <Button small aria-pressed={scale === null} onClick={() => setScale(null)}>
          Fit <Kbd>0</Kbd>
        </Button>
        <Button small aria-pressed={scale === 1} onClick={() => setScale(1)}>
          100 % <Kbd>1</Kbd>
        </Button>
        <a href={url} download target="_blank" rel="noopener noreferrer">
          Download
        </a>
      </div>
    </div>
  );
}
