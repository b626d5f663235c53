using System;
using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace RetrievalEngine.Cli;

/// <summary>Results for machines: one JSON object on one line of standard output.</summary>
internal static class JsonOutput
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Prints the object whose properties <paramref name="write"/> writes.</summary>
    public static void Print(Action<Utf8JsonWriter> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        using (Utf8JsonWriter writer = new(buffer, s_options))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        Console.Out.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan));
    }
}
