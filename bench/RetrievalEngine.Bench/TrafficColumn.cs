using System.Globalization;
using System.Reflection;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;

namespace RetrievalEngine.Bench;

/// <summary>GB/s of an op: to be read beside the copy in the same table, which is what the memory can do.</summary>
public sealed class TrafficColumn : IColumn
{
    public string Id => nameof(TrafficColumn);

    public string ColumnName => "GB/s";

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => "Bytes that the op must read and write at least, by its median time";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        TrafficAttribute? traffic = benchmarkCase.Descriptor.WorkloadMethod.GetCustomAttribute<TrafficAttribute>();
        double? nanoseconds = summary[benchmarkCase]?.ResultStatistics?.Median;
        return traffic is null || nanoseconds is null ? "" : (traffic.Bytes / nanoseconds.Value).ToString("f1", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public bool IsAvailable(Summary summary) => true;
}
