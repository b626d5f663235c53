using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;

namespace RetrievalEngine.Training;

/// <summary>One JSON object a line for every logged step and evaluation; complete after a crash but for the line being written.</summary>
internal sealed class TrainingLog : IDisposable
{
    /// <summary>Its name in the output folder.</summary>
    public const string FileName = "log.jsonl";

    private readonly FileStream _stream;

    private TrainingLog(FileStream stream) => _stream = stream;

    /// <summary>Opens the log for appending after step <paramref name="step"/>; lines of later steps, from before a crash, are dropped.</summary>
    public static TrainingLog Open(string path, int step)
    {
        FileStream stream = new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        long end = 0;
        using (StreamReader reader = new(stream, System.Text.Encoding.UTF8, leaveOpen: true))
        {
            while (step > 0 && reader.ReadLine() is { } line && TryReadStep(line, out int at) && at <= step) end += System.Text.Encoding.UTF8.GetByteCount(line) + 1;
        }

        stream.SetLength(Math.Min(end, stream.Length));
        stream.Seek(0, SeekOrigin.End);
        return new TrainingLog(stream);
    }

    /// <summary>Logs an optimiser step; <paramref name="measure"/> is the task's.</summary>
    public void Step(int step, double epoch, float loss, float learningRate, float gradientNorm, (string Name, double Value) measure, int masked, long tokens, double tokensPerSecond) => Write(json =>
    {
        json.WriteNumber("step", step);
        json.WriteNumber("epoch", Math.Round(epoch, 4));
        json.WriteNumber("loss", loss);
        json.WriteNumber("learning_rate", learningRate);
        json.WriteNumber("grad_norm", gradientNorm);
        json.WriteNumber(measure.Name, Math.Round(measure.Value, 6));
        if (masked > 0) json.WriteNumber("masked_negatives", masked);
        json.WriteNumber("tokens", tokens);
        json.WriteNumber("tokens_per_second", Math.Round(tokensPerSecond, 1));
    });

    /// <summary>Logs measures on the dev set.</summary>
    public void Evaluation(int step, IReadOnlyDictionary<string, double> measures) => Write(json =>
    {
        json.WriteNumber("step", step);
        json.WriteStartObject("dev");
        foreach ((string name, double value) in measures) json.WriteNumber(name, value);
        json.WriteEndObject();
    });

    /// <inheritdoc/>
    public void Dispose() => _stream.Dispose();

    private static bool TryReadStep(string line, out int step)
    {
        step = 0;
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            return document.RootElement.TryGetProperty("step", out JsonElement value) && value.TryGetInt32(out step);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private void Write(Action<Utf8JsonWriter> fill)
    {
        using MemoryStream buffer = new();
        using (Utf8JsonWriter json = new(buffer))
        {
            json.WriteStartObject();
            fill(json);
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        _stream.Write(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        _stream.Flush();
    }
}
