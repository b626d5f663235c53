using System.Text.Json;

namespace RetrievalEngine.Cli;

/// <summary>JSON has no NaN: what is undefined is written as null.</summary>
internal static class JsonNumbers
{
    /// <summary>Writes the property <paramref name="name"/>.</summary>
    public static void Write(Utf8JsonWriter writer, string name, double value)
    {
        if (double.IsFinite(value)) writer.WriteNumber(name, value);
        else writer.WriteNull(name);
    }
}
