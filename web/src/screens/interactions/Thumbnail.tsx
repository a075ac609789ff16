import { ImageOff } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import css from "./interactions.module.css";

/** Milliseconds that a row must be visible before its image is loaded. Rows that are scrolled past load none. */
const REST = 250;
const loaded = new Set<string>();

/** A thumbnail of an image in a row, made by the server. An icon stands for an image that has none, since the whole
 * image may have megabytes. */
export function Thumbnail({ url }: { url: string }) {
  const [isWanted, setWanted] = useState(loaded.has(url));
  const [isLost, setLost] = useState(false);
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
  if (isLost) return <ImageOff size={16} aria-hidden className={css.noThumbnail} />;
  return isWanted ? (
    <img
      src={`${url}?thumbnail=true`}
      alt=""
      decoding="async"
      className={css.thumbnail}
      onError={() => setLost(true)}
    />
  ) : (
    <span ref={place} className={css.thumbnail} data-empty />
  );
}
