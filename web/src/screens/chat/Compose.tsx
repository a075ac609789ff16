import { ImagePlus, Send, Square, X } from "lucide-react";
import { type ClipboardEvent, type KeyboardEvent, useRef, useState } from "react";
import type { Message } from "~/api/client";
import { Button, css as ui, IconButton, Kbd, notify } from "~/ui";
import { useDraft } from "~/ui/useDraft";
import css from "./chat.module.css";

const MOST_IMAGE_BYTES = 10_000_000;

type ComposeProps = {
  project: string;
  isBusy: boolean;
  mayCall: boolean;
  onSend: (message: Message) => void;
  onStop: () => void;
};

/** The form for a message to the models, with images. */
export function Compose({ project, isBusy, mayCall, onSend, onStop }: ComposeProps) {
  const [draft, setDraft] = useDraft(`chat.${project}`);
  const text = draft ?? "";
  const setText = (next: string) => setDraft(next || null);
  const [images, setImages] = useState<string[]>([]);
  const file = useRef<HTMLInputElement>(null);
  const isEmpty = !text.trim() && !images.length;

  function send() {
    if (isEmpty || isBusy || !mayCall) return;
    const parts = images.map((url) => ({ type: "image_url", image_url: { url } }));
    onSend({ role: "user", content: parts.length ? [{ type: "text", text }, ...parts] : text });
    setText("");
    setImages([]);
  }
  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) {
      event.preventDefault();
      send();
    } else if (event.key === "Escape") onStop();
  }
  async function attach(files: Iterable<File>) {
    for (const one of files) {
      if (!/^image\/(png|jpeg|gif|webp)$/.test(one.type)) notify(`${one.name || "This"} is no PNG, JPEG, GIF or WebP image.`);
      else if (one.size > MOST_IMAGE_BYTES) notify(`${one.name} is larger than 10 MB.`);
      else {
        const url = await dataUri(one);
        setImages((before) => [...before, url]);
      }
    }
  }
  const onPaste = (event: ClipboardEvent) => void attach(event.clipboardData.files);
  return (
    <div className={css.compose}>
      {images.length > 0 && (
        <div className={css.images}>
          {images.map((url, index) => (
            <span key={`${index}`}>
              <img src={url} alt={`Attached ${index + 1}`} />
              <IconButton small look="plain" label="Take it away" onClick={() => setImages(images.toSpliced(index, 1))}>
                <X size={12} aria-hidden />
              </IconButton>
            </span>
          ))}
        </div>
      )}
      <textarea
        aria-label="Message"
        placeholder="Write a message"
        rows={1}
        value={text}
        autoFocus
        onChange={(event) => setText(event.target.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        onDrop={(event) => {
          event.preventDefault();
          void attach(event.dataTransfer.files);
        }}
      />
      <div className={css.under}>
        <input
          ref={file}
          type="file"
          accept="image/png,image/jpeg,image/gif,image/webp"
          multiple
          className={ui.srOnly}
          tabIndex={-1}
          aria-label="Images"
          onChange={(event) => {
            void attach(event.target.files ?? []);
            event.target.value = "";
          }}
        />
        <IconButton label="Attach images" onClick={() => file.current?.click()}>
          <ImagePlus size={16} aria-hidden />
        </IconButton>
        <span className={css.hint}>
          <Kbd>Enter</Kbd> sends, <Kbd>Shift</Kbd> <Kbd>Enter</Kbd> makes a new line
        </span>
        {isBusy ? (
          <Button onClick={onStop}>
            <Square size={14} aria-hidden /> Stop
          </Button>
        ) : (
          <Button look="primary" onClick={send} disabled={!mayCall || isEmpty}>
            <Send size={14} aria-hidden /> Send
          </Button>
        )}
      </div>
    </div>
  );
}

function dataUri(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
