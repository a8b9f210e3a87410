/**
 * Runs the operation script of tests/sdks through the official Node SDK.
 *
 * Reads {"server": …, "steps": […]} from standard input and prints {"step": name, "outcome": …} for each step. What the
 * fields of both mean stands in tests/sdks/README.md.
 */

const fs = require('fs');
const TableStore = require('tablestore');
const { value, shown } = require('./values');

async function main() {
  const script = JSON.parse(fs.readFileSync(0, 'utf8'));
  // The first answer is the outcome.
  TableStore.DefaultRetryPolicy.maxRetryTimes = 0;
  for (const step of script.steps) {
    const outcome = await perform(connect({ ...script.server, ...step.client }), step);
    fs.writeSync(1, `${JSON.stringify({ step: step.name, outcome })}\n`);
  }
}

function connect(server) {
  return new TableStore.Client({
    endpoint: server.end_point,
    instancename: server.instance,
    accessKeyId: server.access_key_id,
    secretAccessKey: server.access_key_secret,
  });
}

async function perform(client, step) {
  try {
    const operation = OPERATIONS[step.op];
    return operation.outcome(await client[operation.method](operation.request(step)), step);
  } catch (error) {
    return typeof error.code === 'number' ? { error: serviceError(error) } : { client_error: String(error) };
  }
}

/**
 * Reads what the SDK makes of an error of the service. It takes the body for XML, and gives it as a text with the
 * request's id behind: the protobuf fields 1 and 2, each after its tag and its length, which is one letter where it is
 * below 128 and two where it is not.
 */
function serviceError(error) {
  const body = error.message.replace(/ requestId:[^:]*$/, '');
  const fields = /^\n[^](\w+)\x12([^]*)$/.exec(body);
  if (!fields) {
    return { status: error.code, code: '', message: error.message };
  }
  const rest = fields[2];
  const short = rest.length - 1 === rest.charCodeAt(0);
  return { status: error.code, code: fields[1], message: rest.slice(short ? 1 : 2) };
}

const tableOf = (step) => ({ tableName: step.table });

function tableOptions({ options }) {
  return {
    timeToLive: options.ttl,
    maxVersions: options.max_versions,
    maxTimeDeviation: options.deviation,
    allowUpdate: options.allow_update,
  };
}

function createTable(step) {
  const [read, write] = step.throughput || [0, 0];
  return {
    tableMeta: {
      tableName: step.table,
      primaryKey: step.schema.map(([name, type, option]) => ({ name, type, option })),
    },
    reservedThroughput: { capacityUnit: { read, write } },
    tableOptions: tableOptions(step),
  };
}

function shownOptions({ tableOptions: options, reservedThroughputDetails: reserved }) {
  return {
    ttl: options.timeToLive,
    max_versions: options.maxVersions,
    deviation: Number(options.deviationCellVersionInSec),
    throughput: [reserved.capacityUnit.read, reserved.capacityUnit.write],
  };
}

const nameOf = (names, number) => Object.keys(names).find((name) => names[name] === number);

function shownTable(answer) {
  return {
    table: answer.tableMeta.tableName,
    schema: answer.tableMeta.primaryKey.map((column) => [
      column.name,
      nameOf(TableStore.PrimaryKeyType, column.type),
      // A column without one has the SDK's default.
      ...(Object.hasOwn(column, 'option') ? [nameOf(TableStore.PrimaryKeyOption, column.option)] : []),
    ]),
    ...shownOptions(answer),
    allow_update: answer.tableOptions.allowUpdate,
  };
}

const keyOf = (key) => key.map(([name, text]) => ({ [name]: value(text) }));

/** Gives a column as the SDK wants it: the time stands beside the name. */
function column(name, text, time) {
  const described = { [name]: value(text) };
  if (time !== undefined) {
    described.timestamp = TableStore.Long.fromString(String(time));
  }
  return described;
}

function change([what, name, ...rest]) {
  if (what === 'put') {
    return { PUT: [column(name, ...rest)] };
  }
  if (what === 'increment') {
    return { INCREMENT: [column(name, rest[0])] };
  }
  return rest.length
    ? { DELETE: [{ [name]: TableStore.Long.fromString(String(rest[0])) }] }
    : { DELETE_ALL: [name] };
}

function writeOf(write) {
  const { row = 'IGNORE', column: filter } = write.condition || {};
  const described = {
    primaryKey: keyOf(write.key),
    condition: new TableStore.Condition(TableStore.RowExistenceExpectation[row], filter ? filterOf(filter) : null),
  };
  if (write.return === 'key') {
    described.returnContent = { returnType: TableStore.ReturnType.Primarykey };
  } else if (write.return) {
    described.returnContent = { returnType: TableStore.ReturnType.AfterModify, returnColumns: write.return };
  }
  return described;
}

const columnsOf = (write) => write.columns.map((described) => column(...described));
const changesOf = (write) => write.changes.map(change);

const COMPARATORS = {
  '==': TableStore.ComparatorType.EQUAL,
  '!=': TableStore.ComparatorType.NOT_EQUAL,
  '>': TableStore.ComparatorType.GREATER_THAN,
  '>=': TableStore.ComparatorType.GREATER_EQUAL,
  '<': TableStore.ComparatorType.LESS_THAN,
  '<=': TableStore.ComparatorType.LESS_EQUAL,
};

function filterOf(filter) {
  if (filter.limit) {
    return new TableStore.ColumnPaginationFilter(filter.limit, filter.offset);
  }
  for (const word of ['and', 'or', 'not']) {
    if (filter[word]) {
      const composite = new TableStore.CompositeCondition(TableStore.LogicalOperator[word.toUpperCase()]);
      [].concat(filter[word]).forEach((part) => composite.addSubCondition(filterOf(part)));
      return composite;
    }
  }
  const { pass_if_missing: passIfMissing = true, latest_only: latestOnly = true } = filter;
  return new TableStore.SingleColumnCondition(
    filter.column,
    value(filter.value),
    COMPARATORS[filter.is],
    passIfMissing,
    latestOnly,
  );
}

/** Gives the parameters that all reads have. */
function readOf(read) {
  const described = { columnsToGet: read.columns, maxVersions: read.max_versions };
  if (read.times) {
    described.timeRange = { startTime: read.times[0], endTime: read.times[1] };
  } else if (read.time) {
    described.timeRange = { specificTime: read.time };
  }
  if (read.filter) {
    described.columnFilter = filterOf(read.filter);
  }
  described.startColumn = read.from;
  described.endColumn = read.to;
  return described;
}

function getRange(step) {
  return {
    ...tableOf(step),
    direction: TableStore.Direction[step.direction],
    inclusiveStartPrimaryKey: keyOf(step.from),
    exclusiveEndPrimaryKey: keyOf(step.to),
    limit: step.limit,
    ...readOf(step.read),
  };
}

function batchWrite(step) {
  const types = { PutRow: 'PUT', UpdateRow: 'UPDATE', DeleteRow: 'DELETE' };
  return {
    tables: step.tables.map((table) => ({
      ...tableOf(table),
      rows: table.rows.map((row) => ({
        type: types[row.op],
        ...writeOf(row),
        attributeColumns: row.columns ? columnsOf(row) : row.changes && changesOf(row),
      })),
    })),
  };
}

const shownConsumed = (units) => [units.read, units.write];
const shownKey = (key) => key.map((part) => [part.name, shown(part.value)]);

function shownRow({ primaryKey, attributes }) {
  if (!primaryKey || primaryKey.length === 0) {
    return null;
  }
  return {
    key: shownKey(primaryKey),
    columns: attributes.map((cell) => [cell.columnName, shown(cell.columnValue), Number(cell.timestamp)]),
  };
}

const shownAnswer = (answer) => ({
  consumed: shownConsumed(answer.consumed.capacityUnit),
  row: shownRow(answer.row),
});

function shownRange(answer) {
  return {
    consumed: shownConsumed(answer.consumed.capacityUnit),
    rows: answer.rows.map(shownRow),
    next: answer.nextStartPrimaryKey && shownKey(answer.nextStartPrimaryKey),
  };
}

function shownResult(result) {
  if (!result.isOk) {
    return { error: { code: result.errorCode, message: result.errorMessage } };
  }
  return { consumed: shownConsumed(result.capacityUnit), row: shownRow(result) };
}

/** Sorts the rows of a batch by their tables: results of reads come in a list a table, those of writes all in one. */
function shownTables(answer) {
  const tables = {};
  answer.tables.flat().forEach((result) => {
    tables[result.tableName] = [...(tables[result.tableName] || []), shownResult(result)];
  });
  return { tables };
}

const nothing = () => ({});

const OPERATIONS = {
  CreateTable: { method: 'createTable', request: createTable, outcome: nothing },
  UpdateTable: {
    method: 'updateTable',
    request: (step) => ({ ...tableOf(step), tableOptions: tableOptions(step) }),
    outcome: shownOptions,
  },
  DescribeTable: { method: 'describeTable', request: tableOf, outcome: shownTable },
  ListTable: {
    method: 'listTable',
    request: nothing,
    outcome: (answer) => ({ tables: [...answer.tableNames].sort() }),
  },
  DeleteTable: { method: 'deleteTable', request: tableOf, outcome: nothing },
  PutRow: {
    method: 'putRow',
    request: (step) => ({ ...tableOf(step), ...writeOf(step), attributeColumns: columnsOf(step) }),
    outcome: shownAnswer,
  },
  UpdateRow: {
    method: 'updateRow',
    request: (step) => ({ ...tableOf(step), ...writeOf(step), updateOfAttributeColumns: changesOf(step) }),
    outcome: shownAnswer,
  },
  DeleteRow: {
    method: 'deleteRow',
    request: (step) => ({ ...tableOf(step), ...writeOf(step) }),
    outcome: shownAnswer,
  },
  GetRow: {
    method: 'getRow',
    request: (step) => ({ ...tableOf(step), primaryKey: keyOf(step.key), ...readOf(step.read) }),
    outcome: shownAnswer,
  },
  GetRange: { method: 'getRange', request: getRange, outcome: shownRange },
  BatchGetRow: {
    method: 'batchGetRow',
    request: (step) => ({
      tables: step.tables.map((table) => ({
        ...tableOf(table),
        primaryKey: table.keys.map(keyOf),
        ...readOf(table.read),
      })),
    }),
    outcome: shownTables,
  },
  BatchWriteRow: { method: 'batchWriteRow', request: batchWrite, outcome: shownTables },
  ListSearchIndex: { method: 'listSearchIndex', request: tableOf, outcome: nothing },
};

main().catch((error) => {
  console.error('the Node client:', error);
  process.exit(1);
});
