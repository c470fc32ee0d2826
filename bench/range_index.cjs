// Gives Azurite the index that Azure's tables have: rows sorted by PartitionKey and RowKey.
//
// Azurite evaluates the filter of every query against every row of the table, in JavaScript, and sorts what is left: a
// query for one row costs as much as a scan, and grows with the table. `bench/store.py` loads this file into Azurite
// (NODE_OPTIONS=--require), so that what a query costs is what it reads, and sends SIGUSR2 to compare with Azurite as
// it is. Only where rows are found is replaced; HTTP, authentication, transactions and JSON remain Azurite's own.
"use strict";
const path = require("node:path");

const main = process.argv[1] || "";
if (path.basename(main) === "azurite.js") {
  const store = require(path.join(path.dirname(main), "table/persistence/LokiTableMetadataStore.js")).default.prototype;
  let indexed = true;
  process.on("SIGUSR2", () => { indexed = !indexed; });

  const at = (keys, wanted) => {  // the first place whose key is not below
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (keys[middle] < wanted) low = middle + 1; else high = middle;
    }
    return low;
  };

  // Partitions by key: their rows by key, and the keys in order where nothing has changed since they were sorted.
  const watch = (collection) => {
    const partitions = new Map();
    const { insert, remove, update } = collection;
    collection.byKeys = partitions;
    collection.insert = function (row, ...rest) {
      if (!partitions.has(row.PartitionKey)) partitions.set(row.PartitionKey, { rows: new Map(), sorted: null });
      const partition = partitions.get(row.PartitionKey);
      const stored = insert.call(this, row, ...rest);
      if (!partition.rows.has(row.RowKey)) partition.sorted = null;
      partition.rows.set(row.RowKey, stored);
      return stored;
    };
    collection.update = function (row, ...rest) {  // a merge: another object in the old one's place
      const stored = update.call(this, row, ...rest);
      partitions.get(row.PartitionKey).rows.set(row.RowKey, row);
      return stored;
    };
    collection.remove = function (row, ...rest) {
      const partition = partitions.get(row.PartitionKey);
      if (partition && partition.rows.delete(row.RowKey)) partition.sorted = null;
      return remove.call(this, row, ...rest);
    };
    collection.findOne = (query) => {
      const partition = partitions.get(query.PartitionKey);
      return (partition && partition.rows.get(query.RowKey)) || null;
    };
    return collection;
  };

  store.createCollectionForTable = function (table) {
    // Without Loki's own indexes, which are moved about in memory with every insert.
    watch(this.db.addCollection(this.getTableCollectionName(table.account, table.table), {}));
  };

  const whole = store.queryTableEntities;
  const SHAPE = /^PartitionKey eq '([^']*)' and RowKey g[te] '([^']*)' and RowKey l[te] '([^']*)'/;
  store.queryTableEntities = async function (context, account, table, options, nextPartition, nextRow) {
    const collection = this.getEntityCollection(account, table, context);
    const shape = indexed && collection.byKeys && SHAPE.exec(options.filter || "");
    if (!shape) return whole.call(this, context, account, table, options, nextPartition, nextRow);
    const partition = collection.byKeys.get(shape[1]) || { rows: new Map(), sorted: [] };
    partition.sorted = partition.sorted || [...partition.rows.keys()].sort((a, b) => (a < b ? -1 : 1));
    const from = nextRow === undefined ? shape[2] : this.decodeContinuationHeader(nextRow);
    const most = this.getMaxResultsOption(options);
    // Azurite's own query, filter and all, over the rows between the bounds, as many as a page holds.
    const first = at(partition.sorted, from);
    const end = at(partition.sorted, shape[3] + "\u0000");
    // A filter that says more than the bounds may pass over rows: then all of them are looked at.
    const last = shape[0].length === options.filter.length ? Math.min(end, first + most + 2) : end;
    const rows = partition.sorted.slice(first, last).map((key) => partition.rows.get(key));
    const chain = {
      where: (wanted) => { chain.rows = chain.rows.filter(wanted); return chain; },
      sort: () => chain,
      limit: (count) => { chain.rows = chain.rows.slice(0, count); return chain; },
      data: () => chain.rows,
      rows,
    };
    const between = Object.create(this);
    between.getEntityCollection = () => ({ chain: () => chain });
    return whole.call(between, context, account, table, options, nextPartition, nextRow);
  };
}
