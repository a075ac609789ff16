import { ArrowUp } from "lucide-react";
import { type ComponentProps, useCallback, useState } from "react";
import type { Interaction } from "~/api/client";
import { withRole } from "~/rules/facetConditions";
import { Button, Empty, ErrorNote, Outdated } from "~/ui";
import type { Shown } from "./columns";
import css from "./interactions.module.css";
import { keepWidths, keptWidths } from "./kept";
import { Table } from "./Table";
import type { ListAddress } from "./useListAddress";
import type { ListCursor } from "./useListCursor";
import type { ListedInteractions } from "./useListedInteractions";
import type { usePlace } from "./usePlace";

type ListRowsProps = {
  address: ListAddress;
  listed: ListedInteractions;
  cursor: ListCursor;
  place: ReturnType<typeof usePlace>;
  shown: Shown;
  onQuery: (q: string) => void;
  onHover: (interaction: Interaction) => void;
};

/** The rows of the list, with a button to newer ones above. */
export function ListRows({ address, listed, cursor, place, shown, onQuery, onHover }: ListRowsProps) {
  const { q, at, order, change } = address;
  const { list, interactions } = listed;
  const { data, error, isFetching, isPlaceholderData, refetch, fetchNextPage, hasPreviousPage } = list;
  const [widths, setWidths] = useState(keptWidths);
  const setWidth: ComponentProps<typeof Table>["onWidth"] = useCallback((column, pixels) => {
    setWidths((before) => {
      const { [column]: _, ...others } = before;
      const next = pixels === null ? others : { ...others, [column]: pixels };
      keepWidths(next);
      return next;
    });
  }, []);
  const onCondition: ComponentProps<typeof Table>["onCondition"] = useCallback(
    (condition, role) => onQuery(withRole(q, condition, role)),
    [q, onQuery],
  );
  function toNewest() {
    place.onScrolled(0);
    void change({ at: undefined });
  }
  if (error && !data) {
    return (
      <div style={{ padding: 16 }}>
        <ErrorNote error={error} onRetry={() => refetch()} />
      </div>
    );
  }
  return (
    <div className={css.rows}>
      {error && <Outdated error={error} onRetry={() => (list.isFetchNextPageError ? fetchNextPage() : refetch())} />}
      {hasPreviousPage && <UpButton onClick={toNewest}>To the newest</UpButton>}
      {listed.freshCount > 0 && !hasPreviousPage && (
        <UpButton onClick={() => document.querySelector("[role=grid]")?.scrollTo({ top: 0 })}>
          {`${listed.freshCount} new`}
        </UpButton>
      )}
      <Table
        key={`${at} ${order}`}
        interactions={interactions}
        columns={listed.columns}
        shown={shown}
        count={listed.count}
        chosen={cursor.chosen}
        selection={cursor.selection}
        order={order}
        widths={widths}
        open={address.open}
        query={data === undefined || isPlaceholderData ? null : q}
        loading={isFetching && interactions.length === 0}
        // A page that failed is not fetched again automatically.
        more={list.hasNextPage && !list.isFetchNextPageError}
        before={hasPreviousPage && !list.isFetchPreviousPageError}
        onBefore={listed.onBefore}
        onMore={listed.onMore}
        onHover={onHover}
        onOpen={cursor.onTap}
        isSelecting={cursor.isSelecting}
        href={address.href}
        onSelect={cursor.select}
        onSelectAll={cursor.selectAll}
        onOrder={(next) => change({ order: next === "created_at" ? next : undefined, at: undefined })}
        onWidth={setWidth}
        onCondition={onCondition}
        onTop={listed.onTop}
        topOf={place.topOf}
        onScrolled={place.onScrolled}
        empty={
          <Empty title="Nothing matches this filter">
            <Button onClick={() => onQuery("")}>Clear the filter</Button>
          </Empty>
        }
      />
    </div>
  );
}

function UpButton({ onClick, children }: { onClick: () => void; children: string }) {
  return (
    <Button look="primary" small className={css.pill} onClick={onClick}>
      <ArrowUp size={13} aria-hidden /> {children}
    </Button>
  );
}
