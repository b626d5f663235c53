using System;
using System.Buffers;
using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using RetrievalEngine.Text;

namespace RetrievalEngine.Cli;

/// <summary>The verb <c>tokenize</c>: what the model will see.</summary>
internal static class TokenizeCommand
{
    private const string Help = """
        Prints what a model sees of each line of standard input: one JSON object a line with text, ids, tokens and offsets (code points, end
        exclusive; [0, 0] for special tokens).

        Examples:
          echo "what is dense retrieval?" | retrieval tokenize --model all-MiniLM-L6-v2
          retrieval tokenize --model Llama-3-8B --max-length 32 --no-special-tokens < queries.txt > tokens.jsonl
        """;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string> model = new("--model") { Description = "Folder with tokenizer.json", HelpName = "DIR", Required = true };
        Option<int?> maxLength = new("--max-length") { Description = "Keep at most N tokens, special ones included", HelpName = "N" };
        Option<bool> noSpecialTokens = new("--no-special-tokens") { Description = "Leave out the special tokens around a text" };
        Command command = new("tokenize", Help) { model, maxLength, noSpecialTokens };
        command.SetAction(parsed =>
        {
            Tokenizer tokenizer = Tokenizer.Load(parsed.GetRequiredValue(model));
            bool special = !parsed.GetValue(noSpecialTokens);
            int most = parsed.GetValue(maxLength) ?? int.MaxValue, least = special ? tokenizer.SpecialTokenCount : 0;
            if (most < least) throw new InputException($"--max-length {most} is too short: the special tokens alone are {least}");
            ArrayBufferWriter<byte> buffer = new();
            using Utf8JsonWriter writer = new(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            while (Console.In.ReadLine() is { } line)
            {
                Write(writer, line, tokenizer.EncodeWithOffsets(line, special, most));
                Console.Out.WriteLine(System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan));
                buffer.ResetWrittenCount();
                writer.Reset();
            }

            return ExitCodes.Done;
        });
        return command;
    }

    private static void Write(Utf8JsonWriter writer, string text, TokenizedText tokens)
    {
        writer.WriteStartObject();
        writer.WriteString("text", text);
        writer.WriteStartArray("ids");
        foreach (int id in tokens.Ids) writer.WriteNumberValue(id);
        writer.WriteEndArray();
        writer.WriteStartArray("tokens");
        foreach (string token in tokens.Tokens) writer.WriteStringValue(token);
        writer.WriteEndArray();
        writer.WriteStartArray("offsets");
        foreach ((int start, int end) in tokens.Offsets)
        {
            writer.WriteStartArray();
            writer.WriteNumberValue(start);
            writer.WriteNumberValue(end);
            writer.WriteEndArray();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
    }
}
