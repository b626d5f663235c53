using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text.Json;

namespace RetrievalEngine.Cli.Bench;

/// <summary>How results are shown: a line a case as it comes, or one JSON object with the machine's fingerprint.</summary>
internal static class BenchReport
{
    private static readonly string[] s_prefixes = ["", "K", "M", "G", "T", "P"];

    /// <summary>The names of the columns of <see cref="Write"/>.</summary>
    public static void WriteHeader(TextWriter to, bool compared) =>
        to.WriteLine(
            $"{"op",-24}{"",-24}{"shape",-42}{"type",-6}{"ms",9}{"",18}{"floor ms",10}{"share",7}"
            + $"{(compared ? $"{"baseline ms",14}{"faster by",12}" : "")}");

    /// <summary>One line.</summary>
    public static void Write(TextWriter to, BenchResult result)
    {
        BenchCase work = result.Case;
        string start = $"{work.Op,-24}{work.Name,-24}{work.Shape,-42}{work.DType,-6}";
        if (result.Skipped is not null)
        {
            to.WriteLine($"{start} {(result.HasFailed ? "failed" : "does not fit")}: {result.Skipped}");
            return;
        }

        string rate = result.IsArithmetic ? Rate(result.Flops, "FLOP/s") : Rate(result.Bytes, "B/s");
        string share = result.Share is { } part ? part.ToString("P0", CultureInfo.InvariantCulture).Replace(" ", "", StringComparison.Ordinal) : "";
        string ratio = result.Ratio is { } times ? $"{Milliseconds(result.Baseline),14}{times.ToString("F3", CultureInfo.InvariantCulture),12}" : "";
        to.WriteLine($"{start}{Milliseconds(result.Seconds),9}{rate,18}{Milliseconds(result.Floor),10}{share,7}{ratio}".TrimEnd());
    }

    /// <summary>The whole run.</summary>
    public static void WriteJson(Utf8JsonWriter writer, BenchMachine machine, BenchPeaks peaks, string preset, IReadOnlyList<BenchResult> results)
    {
        machine.Write(writer);
        writer.WriteString("preset", preset);
        writer.WriteStartObject("peaks");
        writer.WriteNumber("flops_per_second", peaks.Flops);
        writer.WriteString("flops_source", peaks.FlopsSource);
        writer.WriteNumber("bytes_per_second", peaks.Bytes);
        writer.WriteString("bytes_source", peaks.BytesSource);
        writer.WriteEndObject();
        writer.WriteStartArray("cases");
        foreach (BenchResult result in results)
        {
            BenchCase work = result.Case;
            writer.WriteStartObject();
            writer.WriteString("op", work.Op);
            writer.WriteString("case", work.Name);
            writer.WriteString("shape", work.Shape);
            writer.WriteString("dtype", work.DType.ToString());
            if (result.Skipped is not null) writer.WriteString(result.HasFailed ? "failed" : "skipped", result.Skipped);
            else WriteTimes(writer, result);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary><c>612 TFLOP/s</c>: three digits and the unit's prefix.</summary>
    public static string Rate(double perSecond, string unit)
    {
        int prefix = 0;
        while (perSecond >= 999.5 && prefix < s_prefixes.Length - 1)
        {
            perSecond /= 1000;
            prefix++;
        }

        return $"{perSecond.ToString(perSecond >= 99.95 ? "F0" : perSecond >= 9.995 ? "F1" : "F2", CultureInfo.InvariantCulture)} {s_prefixes[prefix]}{unit}";
    }

    private static string Milliseconds(double? seconds) =>
        seconds is { } s ? (s * 1e3).ToString(s >= 0.1 ? "F1" : s >= 1e-3 ? "F3" : "F5", CultureInfo.InvariantCulture) : "";

    private static void WriteTimes(Utf8JsonWriter writer, BenchResult result)
    {
        writer.WriteNumber("seconds", result.Seconds);
        writer.WriteNumber("shortest_seconds", result.Shortest);
        writer.WriteNumber("runs", result.Runs);
        writer.WriteNumber("flops", result.Case.Flops);
        writer.WriteNumber("bytes", result.Case.Bytes);
        if (result.Floor is { } floor)
        {
            writer.WriteNumber("floor_seconds", floor);
            writer.WriteString("bound", result.IsArithmetic ? "flops" : "bytes");
        }

        if (result.Share is { } share) writer.WriteNumber("share", share);
        if (result.Baseline is { } baseline) writer.WriteNumber("baseline_seconds", baseline);
        if (result.Ratio is { } ratio) writer.WriteNumber("faster_by", ratio);
    }
}
