using System;
using System.CommandLine;
using System.Globalization;
using System.IO;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Threading.Tasks;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>info</c>: what a folder or file is.</summary>
internal static class InfoCommand
{
    private const string Help = """
        Says what a folder or file is: a model (family, parameters, memory, how it turns texts into vectors or pairs into scores), an adapter, embeddings, an
        index, a safetensors file, a run or relevance judgements; `retrieval info presets` lists what --preset knows.

        Examples:
          retrieval info all-MiniLM-L6-v2
          retrieval info idx/scifact --json
          retrieval info qrels.txt
          retrieval info presets
        """;

    private static readonly JsonSerializerOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Argument<string> path = new("PATH") { Description = "Folder or file, or the word presets" };
        Option<bool> quiet = CommonOptions.Quiet();
        Option<bool> json = CommonOptions.Json();
        Command command = new("info", Help) { path, quiet, json };
        command.SetAction((parsed, stop) =>
        {
            JsonObject description =
                ProgressDisplay.Run(parsed.GetValue(quiet), progress => parsed.GetRequiredValue(path) is var given && given == PresetDescription.Word
                    ? PresetDescription.OfAll()
                    : PathDescription.Of(given, progress, stop));
            if (parsed.GetValue(json)) Console.Out.WriteLine(description.ToJsonString(s_json));
            else Print(description, Console.Out, 0);
            return Task.FromResult(ExitCodes.Done);
        });
        return command;
    }

    private static void Print(JsonObject description, TextWriter writer, int indent)
    {
        foreach ((string name, JsonNode? value) in description)
        {
            string label = new string(' ', indent) + name.Replace('_', ' ');
            if (value is JsonObject nested)
            {
                writer.WriteLine($"{label}:");
                Print(nested, writer, indent + 2);
            }
            else
            {
                writer.WriteLine($"{label}: {Text(value)}");
            }
        }
    }

    private static string Text(JsonNode? value)
    {
        if (value is null) return "none";
        if (value is JsonArray list) return string.Join(", ", list);
        string json = value.ToJsonString(s_json);
        if (long.TryParse(json, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole))
            return whole.ToString("N0", CultureInfo.InvariantCulture);
        if (value.GetValueKind() != JsonValueKind.String) return json;
        // A prefix may be nothing or end in a space: then the quotes matter.
        string text = value.GetValue<string>();
        return text.Length == 0 || text != text.Trim() ? $"\"{text}\"" : text;
    }
}
