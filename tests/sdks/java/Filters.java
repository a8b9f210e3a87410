import com.alicloud.openservices.tablestore.model.Condition;
import com.alicloud.openservices.tablestore.model.RowExistenceExpectation;
import com.alicloud.openservices.tablestore.model.RowQueryCriteria;
import com.alicloud.openservices.tablestore.model.TimeRange;
import com.alicloud.openservices.tablestore.model.filter.ColumnPaginationFilter;
import com.alicloud.openservices.tablestore.model.filter.ColumnValueFilter;
import com.alicloud.openservices.tablestore.model.filter.CompositeColumnValueFilter;
import com.alicloud.openservices.tablestore.model.filter.CompositeColumnValueFilter.LogicOperator;
import com.alicloud.openservices.tablestore.model.filter.Filter;
import com.alicloud.openservices.tablestore.model.filter.SingleColumnValueFilter;
import com.alicloud.openservices.tablestore.model.filter.SingleColumnValueFilter.CompareOperator;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.util.Map;

/** What reads ask for, and the conditions of writes. */
final class Filters {
    private static final Map<String, CompareOperator> COMPARATORS = Map.of(
            "==", CompareOperator.EQUAL,
            "!=", CompareOperator.NOT_EQUAL,
            ">", CompareOperator.GREATER_THAN,
            ">=", CompareOperator.GREATER_EQUAL,
            "<", CompareOperator.LESS_THAN,
            "<=", CompareOperator.LESS_EQUAL);

    private Filters() {}

    /** Sets the parameters that all reads have. */
    static void apply(RowQueryCriteria criteria, JsonObject read) {
        criteria.setMaxVersions(read.get("max_versions").getAsInt());
        if (read.has("columns")) {
            read.getAsJsonArray("columns").forEach(name -> criteria.addColumnsToGet(name.getAsString()));
        }
        if (read.has("times")) {
            JsonArray times = read.getAsJsonArray("times");
            criteria.setTimeRange(new TimeRange(times.get(0).getAsLong(), times.get(1).getAsLong()));
        }
        if (read.has("time")) {
            criteria.setTimestamp(read.get("time").getAsLong());
        }
        if (read.has("from")) {
            criteria.setStartColumn(read.get("from").getAsString());
        }
        if (read.has("to")) {
            criteria.setEndColumn(read.get("to").getAsString());
        }
        if (read.has("filter")) {
            criteria.setFilter(filter(read.getAsJsonObject("filter")));
        }
    }

    static Condition condition(JsonObject write) {
        Condition condition = new Condition(RowExistenceExpectation.IGNORE);
        if (write.has("condition")) {
            JsonObject described = write.getAsJsonObject("condition");
            condition.setRowExistenceExpectation(RowExistenceExpectation.valueOf(described.get("row").getAsString()));
            if (described.has("column")) {
                ColumnValueFilter filter = valueFilter(described.getAsJsonObject("column"));
                condition.setColumnCondition(
                        filter instanceof SingleColumnValueFilter
                                ? ((SingleColumnValueFilter) filter).toCondition()
                                : ((CompositeColumnValueFilter) filter).toCondition());
            }
        }
        return condition;
    }

    private static Filter filter(JsonObject described) {
        if (described.has("limit")) {
            return new ColumnPaginationFilter(described.get("limit").getAsInt(), described.get("offset").getAsInt());
        }
        return valueFilter(described);
    }

    private static ColumnValueFilter valueFilter(JsonObject described) {
        for (LogicOperator operator : LogicOperator.values()) {
            JsonElement parts = described.get(operator.name().toLowerCase());
            if (parts == null) {
                continue;
            }
            CompositeColumnValueFilter composite = new CompositeColumnValueFilter(operator);
            if (parts.isJsonArray()) {
                parts.getAsJsonArray().forEach(part -> composite.addFilter(valueFilter(part.getAsJsonObject())));
            } else {
                composite.addFilter(valueFilter(parts.getAsJsonObject()));
            }
            return composite;
        }
        SingleColumnValueFilter filter = new SingleColumnValueFilter(
                described.get("column").getAsString(),
                COMPARATORS.get(described.get("is").getAsString()),
                Values.read(described.get("value").getAsString()));
        filter.setPassIfMissing(!described.has("pass_if_missing") || described.get("pass_if_missing").getAsBoolean());
        filter.setLatestVersionsOnly(!described.has("latest_only") || described.get("latest_only").getAsBoolean());
        return filter;
    }
}
