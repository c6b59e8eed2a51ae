import { markup, type Content, type Markup } from "./markup.js";

/** A column of a table: of numbers, which stand to the right, or of text. */
export interface Column<Row> {
  readonly title: string | Markup;
  readonly isNumber?: boolean;
  cell(row: Row, index: number): Content;
}

/** A table with a caption, in a box of its own that scrolls when it is too wide; a sentence without rows. */
export function table<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
): Markup {
  if (rows.length === 0) return markup`<p class="quiet">${empty}</p>`;
  const classOf = ({ isNumber }: Column<Row>) => isNumber === true && markup` class="number"`;
  return markup`<div class="scroll" tabindex="0" role="group" aria-label="${caption}, table">
      <table>
        <caption>${caption}</caption>
        <thead><tr>${columns.map((column) => markup`<th scope="col"${classOf(column)}>${column.title}</th>`)}</tr></thead>
        <tbody>${rows.map(
          (row, index) => markup`<tr>${columns.map((column, place) => {
            const cell = column.cell(row, index);
            return place === 0
              ? markup`<th scope="row">${cell}</th>`
              : markup`<td${classOf(column)}>${cell}</td>`;
          })}</tr>
        `,
        )}</tbody>
      </table>
    </div>`;
}

/** A section that the page brings up to date. */
export function section(id: string, title: string, content: Content, wide = false): Markup {
  return markup`
  <section class="card${wide && " wide"}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    <div data-part="${id}">${content}</div>
  </section>`;
}
