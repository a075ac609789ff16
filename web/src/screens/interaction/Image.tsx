import { ImageOff } from "lucide-react";
import { useState } from "react";
import { Button, Dialog } from "~/ui";
import css from "./conversation.module.css";
import { isOwnImage } from "./parts";

/** An image in its place, small; a click shows it large. Images from elsewhere are named, never loaded. */
export function Image({ url, alt = "" }: { url: string; alt?: string }) {
  const [isOpen, setOpen] = useState(false);
  const [isWhole, setWhole] = useState(false);
  const [size, setSize] = useState("");
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
          onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) => setSize(`${naturalWidth} × ${naturalHeight}`)}
        />
      </button>
      <Dialog title={alt || "Image"} open={isOpen} onClose={() => setOpen(false)} wide>
        <div className={css.enlarged} data-whole={isWhole} tabIndex={0} role="region" aria-label="The image">
          <img src={url} alt={alt} />
        </div>
        <div className={css.under}>
          <span>{size}</span>
          <Button small aria-pressed={!isWhole} onClick={() => setWhole(false)}>
            Fit
          </Button>
          <Button small aria-pressed={isWhole} onClick={() => setWhole(true)}>
            100 %
          </Button>
          <a href={url} download target="_blank" rel="noopener noreferrer">
            Download
          </a>
        </div>
      </Dialog>
    </>
  );
}
