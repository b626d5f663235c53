using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text.Json;

namespace RetrievalEngine.Cli.Demo;

/// <summary>
/// The work folder's record of finished steps (<c>demo.json</c>), so that a demo that was stopped goes on where it was. It also marks the folder as the
/// demo's own: no other folder is ever emptied.
/// </summary>
internal sealed class DemoState
{
    private const string FileName = "demo.json";
    private readonly string _path;
    private readonly List<DemoRecord> _records = [];

    private DemoState(string folder) => _path = Path.Combine(folder, FileName);

    /// <summary>Finished steps, in their order.</summary>
    public IReadOnlyList<DemoRecord> Records => _records;

    /// <summary>Opens <paramref name="folder"/>: an unfinished demo goes on, a finished one (all of <paramref name="steps"/>) is emptied and begins anew.</summary>
    /// <exception cref="InputException">The folder holds something else.</exception>
    public static DemoState Open(string folder, IReadOnlyList<DemoStep> steps)
    {
        DemoState state = new(folder);
        if (File.Exists(state._path))
        {
            state.Read();
            if (state._records.Count < steps.Count && state._records.Select(r => r.Name).SequenceEqual(steps.Take(state._records.Count).Select(s => s.Name))) return state;
            Directory.Delete(folder, recursive: true);
            state._records.Clear();
        }
        else if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new InputException($"{folder} is not empty and not the demo's; name another folder with --work");
        }

        Directory.CreateDirectory(folder);
        state.Write();
        return state;
    }

    /// <summary>Adds a finished step.</summary>
    public void Add(DemoRecord record)
    {
        _records.Add(record);
        Write();
    }

    /// <summary>The record of the step <paramref name="name"/>.</summary>
    public DemoRecord this[string name] => _records.Single(r => r.Name == name);

    private void Read()
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(_path));
            foreach (JsonElement step in json.RootElement.GetProperty("steps").EnumerateArray())
            {
                _records.Add(new DemoRecord(step.GetProperty("name").GetString() ?? "", step.GetProperty("seconds").GetDouble(),
                    step.GetProperty("tokens").GetInt64(), step.GetProperty("compute_seconds").GetDouble()));
            }
        }
        catch (System.Exception e) when (e is JsonException or KeyNotFoundException or System.InvalidOperationException or System.FormatException)
        {
            throw new InputException($"{_path} is damaged; delete its folder and run the demo again", e);
        }
    }

    private void Write() => AtomicFile.Write(_path, stream =>
    {
        using Utf8JsonWriter json = new(stream, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteStartArray("steps");
        foreach (DemoRecord record in _records)
        {
            json.WriteStartObject();
            json.WriteString("name", record.Name);
            json.WriteNumber("seconds", record.Seconds);
            json.WriteNumber("tokens", record.Tokens);
            json.WriteNumber("compute_seconds", record.ComputeSeconds);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });
}
