import { useEffect, useRef, useState } from "react";
import css from "./interactions.module.css";

/** So long a row rests in sight before its image is loaded: rows that are scrolled past load none. In milliseconds. */
const REST = 250;
const loaded = new Set<string>();

/** An image of an interaction, small, in its row. The whole image stands behind it, so that it is loaded only where
 * someone looks. */
export function Thumbnail({ url }: { url: string }) {
  const [isWanted, setWanted] = useState(loaded.has(url));
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    if (isWanted || !place.current) return;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const observer = new IntersectionObserver(([entry]) => {
      clearTimeout(timer);
      if (!entry?.isIntersecting) return;
      timer = setTimeout(() => {
        loaded.add(url);
        setWanted(true);
      }, REST);
    });
    observer.observe(place.current);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
    };
  }, [isWanted, url]);
  return isWanted ? (
    <img src={url} alt="" decoding="async" className={css.thumbnail} />
  ) : (
    <span ref={place} className={css.thumbnail} data-empty />
  );
}
