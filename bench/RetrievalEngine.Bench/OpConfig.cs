using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;

namespace RetrievalEngine.Bench;

/// <summary>In this process, which was compiled as the product is: a process of its own a benchmark would build the solution again each time.</summary>
public sealed class OpConfig : ManualConfig
{
    public OpConfig()
    {
        AddJob(
            Job.Default.WithToolchain(InProcessEmitToolchain.Instance).WithWarmupCount(2).WithIterationCount(9)
                .WithIterationTime(TimeInterval.FromMilliseconds(100)));
        AddColumn(StatisticColumn.Median, new TrafficColumn());
        HideColumns(Column.StdDev, Column.Error, Column.RatioSD);
    }
}
